"""Who may use GAS, and where mails to a person go."""

import uuid
from typing import Any, ClassVar

from allauth.account.models import EmailAddress
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.models.plan import Plan


def opaque() -> str:
    return uuid.uuid4().hex


class UserManager(BaseUserManager["User"]):
    def by_address(self, email: str) -> models.QuerySet["User"]:
        """The users who have proved that they read `email`: one, or none."""
        verified = Q(emailaddress__email__iexact=email, emailaddress__verified=True)
        return self.filter(Q(email__iexact=email) | verified).distinct()

    @transaction.atomic
    def create_user(
        self, username: str | None = None, email: str = "", password: str | None = None, **extra: Any
    ) -> "User":
        """A user whose `email`, if any, counts as verified; without `password` he cannot sign in by one."""
        user = self.model(username=username or opaque(), email=email.strip().lower(), **extra)
        user.set_password(password)
        user.save(using=self._db)
        if user.email:
            # allauth has to know it too, or somebody else could verify it
            EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
        return user

    def create_superuser(
        self, username: str | None = None, email: str = "", password: str | None = None, **extra: Any
    ) -> "User":
        return self.create_user(username, email, password, **extra | {"is_staff": True, "is_superuser": True})

    @transaction.atomic
    def create_researcher(self, email: str, full_name: str = "") -> "User":
        """A researcher whom an operator vouches for: `email` verified, the Free plan, no Globus identity."""
        user = self.create_user(email=email, full_name=full_name)
        Profile.objects.create(user=user, completed_at=timezone.now())
        return user


class User(AbstractBaseUser, PermissionsMixin):
    """A person. `username` says nothing about him; `email` is his primary verified address, or empty."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    username = models.CharField(max_length=64, unique=True, default=opaque)
    email = models.EmailField(blank=True, default="")
    full_name = models.CharField(max_length=200, blank=True, default="")
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    date_joined = models.DateTimeField(default=timezone.now)
    erased_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="The account is erased; only this bare row is left."
    )

    objects: ClassVar[UserManager] = UserManager()
    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = ["email"]

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("email"), condition=~Q(email=""), name="user_email_unique"),
            models.CheckConstraint(
                condition=Q(erased_at=None) | Q(email="", full_name="", is_active=False, last_login=None),
                name="user_erased_is_bare",
            ),
        ]
        permissions = [("change_user_plan", "Can change a user's plan, with a reason")]

    def __str__(self) -> str:
        return self.full_name or self.email or self.username

    def get_full_name(self) -> str:
        return self.full_name

    @property
    def plan(self) -> Plan:
        """The plan as the database has it; Free for whoever has no profile (staff)."""
        profile = getattr(self, "profile", None)
        return profile.plan if profile else Plan.objects.get(pk=Plan.FREE)

    def hold_plan(self) -> Plan:
        """The plan, until this transaction ends: a change comes before, and counts, or after, and finds what was done.

        Not in one query with the plan: PostgreSQL, when it had to wait for the profile, would not see its new one.
        """
        profile = Profile.objects.select_for_update(no_key=True).filter(user=self).first()
        return profile.plan if profile else Plan.objects.get(pk=Plan.FREE)

    @property
    def mail_address(self) -> str:
        """Where mails to this person may go, "" when nowhere: only an address whose link he has followed.

        What Globus asserts (`profile.globus_email`) is a claim, and proposed to him as what to confirm.
        """
        return self.email

    @property
    def pending_address(self) -> str:
        """The address that he has typed and not yet confirmed, or ""."""
        pending = EmailAddress.objects.get_new(self)
        return pending.email if pending else ""


class Profile(models.Model):
    """What a researcher tells about himself, and what Globus tells about him (renewed at each sign-in)."""

    user = models.OneToOneField(User, models.CASCADE, related_name="profile")
    plan = models.ForeignKey(Plan, models.PROTECT, default=Plan.FREE)
    institution = models.CharField(max_length=200, blank=True, default="")
    completed_at = models.DateTimeField(null=True, blank=True)

    mail_completed = models.BooleanField("a file is annotated", default=True)
    mail_failed = models.BooleanField("a file could not be annotated", default=True)
    mail_expiring = models.BooleanField("the time to download a result is running out", default=True)

    stripe_customer = models.CharField(max_length=100, blank=True, default="", editable=False)

    suggested_institution = models.CharField(max_length=200, blank=True, default="")
    identity_provider = models.CharField(max_length=100, blank=True, default="")
    globus_username = models.CharField(max_length=200, blank=True, default="", help_text="For display; it may change.")
    globus_email = models.EmailField(blank=True, default="", help_text="The address that Globus asserts.")

    def __str__(self) -> str:
        return str(self.user)
