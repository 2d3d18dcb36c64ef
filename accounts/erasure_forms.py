"""The confirmation of an erasure."""

from typing import Any

from django import forms

from accounts.models import User

WITHOUT_ADDRESS = "erase my account"


class EraseForm(forms.Form):
    """Typed, so that nobody erases his account by a slip: his address, or a sentence for who has none."""

    confirm = forms.CharField(max_length=254)

    def __init__(self, data: Any, user: User) -> None:
        super().__init__(data)
        self.wanted = user.email or WITHOUT_ADDRESS
        self.fields["confirm"].label = f"To confirm, type {self.wanted}"
        self.fields["confirm"].widget.attrs |= {"class": "form-control", "autocomplete": "off", "spellcheck": "false"}

    def clean_confirm(self) -> str:
        typed = str(self.cleaned_data["confirm"]).strip()
        if typed.casefold() != self.wanted.casefold():
            raise forms.ValidationError(f"This is not what was asked for: {self.wanted}. Nothing is erased.")
        return typed
