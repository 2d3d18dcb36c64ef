"""Personal tokens for programs."""

import hashlib
import secrets
from datetime import timedelta
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models.user import User

PREFIX = "gas_"  # so that scanners for leaked secrets can know it
NOTE_USE_EVERY = timedelta(minutes=1)


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def usable(self) -> "ApiTokenQuerySet":
        """Neither revoked nor expired, of a researcher whose account is open."""
        of_researchers = self.filter(user__is_active=True, user__is_staff=False)
        return of_researchers.filter(revoked_at=None, expires_at__gt=Now())

    def find(self, secret: str) -> "ApiToken | None":
        """The usable token with this secret."""
        if not secret.startswith(PREFIX):
            return None
        return self.usable().select_related("user__profile__plan").filter(digest=digest(secret)).first()


class ApiToken(models.Model):
    """A token of a researcher. Its secret, 256 random bits, is shown once and stored as its SHA-256."""

    class Scope(models.TextChoices):
        READ = "read", "Read: list jobs, download results"
        SUBMIT = "submit", "Submit: upload files, cancel and delete jobs"

    user = models.ForeignKey(User, models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=60)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar = ApiTokenQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["user", "-created_at"], name="api_token_list")]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def issue(cls, user: User, name: str, scopes: list[str], lifetime: timedelta) -> "tuple[ApiToken, str]":
        """A new token and its secret, which nobody can read again."""
        secret = PREFIX + secrets.token_urlsafe(32)
        expires_at = timezone.now() + lifetime
        token = cls.objects.create(user=user, name=name, scopes=scopes, digest=digest(secret), expires_at=expires_at)
        return token, secret

    @property
    def is_usable(self) -> bool:
        return self.revoked_at is None and self.expires_at > timezone.now()

    def allows(self, scope: str) -> bool:
        return scope in self.scopes

    def note_use(self) -> bool:
        """It is being used. True when that is noted, at most once a minute."""
        seldom = Q(last_used_at=None) | Q(last_used_at__lte=Now() - NOTE_USE_EVERY)
        return bool(type(self).objects.filter(seldom, pk=self.pk).update(last_used_at=Now()))

    def revoke(self) -> bool:
        """End it at once. False: it was revoked before."""
        return bool(type(self).objects.filter(pk=self.pk, revoked_at=None).update(revoked_at=Now()))


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
