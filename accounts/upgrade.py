from accounts.models import Plan, Profile, User


def upgrade(user: User) -> bool:
    """From Free to Premium, at once. False when he had it already, however many ask at the same time."""
    Profile.objects.get_or_create(user=user)
    return bool(Profile.objects.filter(user=user, plan=Plan.FREE).update(plan=Plan.PREMIUM))
