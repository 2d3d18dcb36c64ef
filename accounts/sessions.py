"""The sessions that a researcher has, as he sees them, and their end."""

from allauth.usersessions.models import UserSession
from django.db import transaction

from accounts.audit import note
from accounts.models import User

BROWSERS = [("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrom", "Chrome"), ("Safari", "Safari")]
SYSTEMS = [
    ("Android", "Android"), ("iPhone", "an iPhone"), ("iPad", "an iPad"),
    ("Windows", "Windows"), ("Mac OS X", "macOS"), ("CrOS", "ChromeOS"), ("Linux", "Linux"),
]  # fmt: skip  # the first that fits: browsers and systems name those that they are like


def in_words(user_agent: str) -> str:
    """ "Firefox on Linux", as far as the User-Agent header tells."""
    browser, system = (
        next((words for sign, words in signs if sign in user_agent), "") for signs in (BROWSERS, SYSTEMS)
    )
    return " on ".join(word for word in (browser, system) if word) or "An unknown program"


def sessions_of(user: User) -> list[UserSession]:
    """Those that are alive, the one used last first."""
    alive: list[UserSession] = UserSession.objects.purge_and_list(user)
    return sorted(alive, key=lambda session: session.last_seen_at, reverse=True)


@transaction.atomic
def end_sessions(user: User, sessions: list[UserSession]) -> None:
    """Whoever holds one of them is signed out at his next request."""
    for session in sessions:
        session.end()
    if sessions:
        note("session.ended", user, by=user, after={"sessions": len(sessions)})
