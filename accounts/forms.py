from django import forms
from django.http import HttpRequest, QueryDict
from django.utils import timezone

from accounts.addresses import ask_for_confirmation, withdraw_unconfirmed
from accounts.models import Plan, Profile


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]  # only the stubs have the argument
    """A researcher about himself. An e-mail address counts once he followed the link sent there."""

    full_name = forms.CharField(max_length=200)
    email = forms.EmailField(label="E-mail", max_length=254)

    class Meta:
        model = Profile
        fields = ["institution"]

    field_order = ["full_name", "email", "institution"]

    def __init__(self, data: QueryDict | None, instance: Profile) -> None:
        user = instance.user
        initial = {
            "full_name": user.full_name,
            "email": user.pending_address or user.email or instance.globus_email,
            "institution": instance.institution or instance.suggested_institution,
        }
        super().__init__(data, instance=instance, initial=initial)
        self.fields["institution"].required = True
        autocomplete = {"full_name": "name", "email": "email", "institution": "organization"}
        for name, field in self.fields.items():
            field.widget.attrs |= {"class": "form-control", "autocomplete": autocomplete[name]}

    def clean_email(self) -> str:
        return str(self.cleaned_data["email"]).lower()

    @property
    def needs_step_up(self) -> bool:
        """Whether a valid form asks for another address than the one that he has confirmed."""
        user = self.instance.user
        return bool(user.email) and self.cleaned_data["email"] not in (user.email, user.pending_address)

    def keep(self, request: HttpRequest) -> Profile:
        """Save it; mails a link to an address that is neither the confirmed one nor waiting to be confirmed."""
        profile: Profile = self.save(commit=False)
        user = profile.user
        user.full_name = self.cleaned_data["full_name"]
        user.save(update_fields=["full_name"])
        profile.completed_at = profile.completed_at or timezone.now()
        # not the plan: he may upgrade at the same moment
        profile.save(update_fields=["institution", "completed_at"] if profile.pk else None)
        if self.cleaned_data["email"] == user.email:
            withdraw_unconfirmed(user)
        elif self.cleaned_data["email"] != user.pending_address:
            ask_for_confirmation(request, user, self.cleaned_data["email"])
        return profile


class MailsForm(forms.ModelForm):  # type: ignore[type-arg]  # only the stubs have the argument
    """Which mails about his jobs a researcher wants."""

    class Meta:
        model = Profile
        fields = ["mail_completed", "mail_failed", "mail_expiring"]

    def __init__(self, data: QueryDict | None, instance: Profile) -> None:
        super().__init__(data, instance=instance)
        for field in self.fields.values():
            field.widget.attrs["class"] = "form-check-input"

    def keep(self) -> None:
        """Only these columns: the plan may change at the same moment."""
        Profile.objects.filter(pk=self.instance.pk).update(**self.cleaned_data)


class SubscribeForm(forms.Form):
    """From the plan that a user has to the other one."""

    plan = forms.ChoiceField(choices=[(Plan.FREE, Plan.FREE), (Plan.PREMIUM, Plan.PREMIUM)], widget=forms.HiddenInput)
    confirm = forms.BooleanField()
    confirm.widget.attrs["class"] = "form-check-input"

    def __init__(self, data: QueryDict | None, target: Plan) -> None:
        super().__init__(data, initial={"plan": target.code})
        self.fields["confirm"].label = f"Yes, change my plan to {target.name} now."
