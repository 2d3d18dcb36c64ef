from datetime import timedelta
from typing import Any

from django import forms
from django.http import QueryDict

from accounts.audit import note
from accounts.models import ApiToken, User

MOST_USABLE = 20  # tokens of one account at a time
LIFETIMES = {7: "7 days", 30: "30 days", 90: "90 days", 365: "1 year"}


class TokenForm(forms.Form):
    """A new API token of `user`. Among his usable ones its name is the only one: a form sent twice makes one token."""

    name = forms.CharField(max_length=60)
    scopes = forms.MultipleChoiceField(choices=ApiToken.Scope.choices, widget=forms.CheckboxSelectMultiple)
    days = forms.TypedChoiceField(label="It expires after", coerce=int, choices=list(LIFETIMES.items()))

    def __init__(self, data: QueryDict | None, user: User) -> None:
        super().__init__(data, initial={"scopes": [ApiToken.Scope.READ], "days": 30})
        self.user = user
        self.fields["name"].widget.attrs |= {"class": "form-control", "autocomplete": "off"}
        self.fields["scopes"].widget.attrs["class"] = "form-check-input"
        self.fields["days"].widget.attrs["class"] = "form-select"

    def clean(self) -> dict[str, Any]:
        names = list(ApiToken.objects.usable().filter(user=self.user).values_list("name", flat=True))
        if len(names) >= MOST_USABLE:
            raise forms.ValidationError(f"You have {MOST_USABLE} tokens, which is the most. Revoke one of them first.")
        if self.cleaned_data.get("name") in names:
            self.add_error("name", "You have a token of this name. Take another name, or revoke that token first.")
        return self.cleaned_data

    def issue(self) -> str:
        """Make it; the secret, which nobody can read again."""
        scopes, days = self.cleaned_data["scopes"], self.cleaned_data["days"]
        token, secret = ApiToken.issue(self.user, self.cleaned_data["name"], scopes, timedelta(days=days))
        note("token.issued", token, by=self.user, after={"scopes": scopes, "days": days})
        return secret
