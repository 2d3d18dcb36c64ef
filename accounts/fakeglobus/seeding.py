from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from social_django.models import UserSocialAuth

from accounts.fakeglobus.identities import PREMIUM
from accounts.models import Plan, Profile, User


@transaction.atomic
def seed_premium_identity(debug: bool | None = None) -> User:
    """The account of the stand-in's Premium researcher, as if he had signed in, confirmed his address and upgraded; made once.

    Raises ImproperlyConfigured when DEBUG is off (`debug` stands for the setting, as in FakeGlobus).
    """
    if not (settings.DEBUG if debug is None else debug):
        raise ImproperlyConfigured("The stand-in's Premium researcher exists only with DEBUG on.")
    known = UserSocialAuth.objects.filter(provider="globus", uid=PREMIUM.sub).first()
    if known:
        return known.user
    taken = User.objects.by_address(PREMIUM.email).exists()  # by `manage.py submit --create`, say
    user = User.objects.create_user(full_name=PREMIUM.name, email="" if taken else PREMIUM.email)
    claims = {"globus_email": PREMIUM.email, "globus_username": PREMIUM.email}
    Profile.objects.create(user=user, plan_id=Plan.PREMIUM, **claims)
    UserSocialAuth.objects.create(user=user, provider="globus", uid=PREMIUM.sub, id_key="sub")
    return user
