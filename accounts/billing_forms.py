from django import forms
from django.http import QueryDict

from accounts.models import Plan


class SubscribeForm(forms.Form):
    """From the plan that a user has to the other one."""

    plan = forms.ChoiceField(choices=[(Plan.FREE, Plan.FREE), (Plan.PREMIUM, Plan.PREMIUM)], widget=forms.HiddenInput)
    confirm = forms.BooleanField()
    confirm.widget.attrs["class"] = "form-check-input"

    def __init__(self, data: QueryDict | None, target: Plan) -> None:
        super().__init__(data, initial={"plan": target.code})
        self.fields["confirm"].label = f"Yes, change my plan to {target.name} now."
