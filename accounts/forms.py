from allauth.account.internal.flows.email_verification import send_verification_email_to_address
from allauth.account.models import EmailAddress
from django import forms
from django.http import HttpRequest, QueryDict
from django.utils import timezone

from accounts.models import Plan, Profile, User


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]  # only the stubs have the argument
    """A researcher about himself. A changed e-mail address counts once he followed the link sent there."""

    full_name = forms.CharField(max_length=200)
    email = forms.EmailField(label="E-mail", max_length=254)

    class Meta:
        model = Profile
        fields = ["institution"]

    field_order = ["full_name", "email", "institution"]

    def __init__(self, data: QueryDict | None, instance: Profile) -> None:
        initial = {
            "full_name": instance.user.full_name,
            "email": pending_address(instance.user) or instance.user.mail_address,
            "institution": instance.institution or instance.suggested_institution,
        }
        super().__init__(data, instance=instance, initial=initial)
        self.fields["institution"].required = True
        autocomplete = {"full_name": "name", "email": "email", "institution": "organization"}
        for name, field in self.fields.items():
            field.widget.attrs |= {"class": "form-control", "autocomplete": autocomplete[name]}

    def clean_email(self) -> str:
        return str(self.cleaned_data["email"]).lower()

    def keep(self, request: HttpRequest) -> Profile:
        """Save it; sends the confirmation mail when the address is another than mails go to."""
        profile: Profile = self.save(commit=False)
        user = profile.user
        user.full_name = self.cleaned_data["full_name"]
        user.save(update_fields=["full_name"])
        profile.completed_at = profile.completed_at or timezone.now()
        # not the plan: he may upgrade at the same moment
        profile.save(update_fields=["institution", "completed_at"] if profile.pk else None)
        if self.cleaned_data["email"] == user.mail_address:
            EmailAddress.objects.filter(user=user, verified=False).delete()
        else:
            _ask_for_confirmation(request, user, self.cleaned_data["email"])
        return profile


def pending_address(user: User) -> str:
    """The address that the user has typed and not yet confirmed, or ""."""
    pending = EmailAddress.objects.get_new(user)
    return pending.email if pending else ""


def _ask_for_confirmation(request: HttpRequest, user: User, email: str) -> None:
    """Mail a link to `email`, at most once in three minutes (allauth's limit for an address)."""
    if pending_address(user) == email:
        send_verification_email_to_address(request, EmailAddress.objects.get_new(user))
    else:
        EmailAddress.objects.add_new_email(request, user, email)


class SubscribeForm(forms.Form):
    """From the plan that a user has to the other one."""

    plan = forms.ChoiceField(choices=[(Plan.FREE, Plan.FREE), (Plan.PREMIUM, Plan.PREMIUM)], widget=forms.HiddenInput)
    confirm = forms.BooleanField()
    confirm.widget.attrs["class"] = "form-check-input"

    def __init__(self, data: QueryDict | None, target: Plan) -> None:
        super().__init__(data, initial={"plan": target.code})
        self.fields["confirm"].label = f"Yes, change my plan to {target.name} now."
