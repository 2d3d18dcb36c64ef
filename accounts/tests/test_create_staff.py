import re
from datetime import timedelta
from io import StringIO

import pytest
from allauth.account.forms import default_token_generator
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.models import AuditEvent, User

ADDRESS = "petra@desk.example.org"
NEW = {"password1": "another long password", "password2": "another long password"}


def create_staff(*arguments: str) -> str:
    """What it prints."""
    out = StringIO()
    call_command("create_staff", *arguments, stdout=out)
    return out.getvalue()


def link_in(text: str) -> str:
    return re.search(r"http://localhost:\d+(/accounts/password/reset/key/\S+)", text)[1]


def set_password(link: str) -> int:
    """200: the form came back, or the link does not hold."""
    client = Client()
    form = client.get(link, follow=True)
    return client.post(form.redirect_chain[-1][0], NEW).status_code if form.redirect_chain else 200


@pytest.mark.parametrize(
    ("options", "groups", "is_superuser"),
    [
        ([], ["support"], False),
        (["--role", "support"], ["support"], False),
        (["--role", "operator"], ["operator"], False),
        (["--superuser"], [], True),
    ],
)
def test_makes_an_account_that_opens_nothing_yet(db, options, groups, is_superuser):
    create_staff(ADDRESS, *options, "--full-name", "Petra Desk")
    user = User.objects.get()
    assert (user.email, user.full_name, user.is_staff) == (ADDRESS, "Petra Desk", True)
    assert user.is_superuser is is_superuser
    assert list(user.groups.values_list("name", flat=True)) == groups
    assert not user.has_usable_password()
    assert user.emailaddress_set.get().verified
    assert mail.outbox == []


def test_the_link_sets_a_password_once_and_the_person_is_led_to_a_second_factor(db):
    link = link_in(create_staff(ADDRESS))
    assert set_password(link) == 302
    assert set_password(link) == 200
    client = Client()
    answer = client.post("/accounts/login/", {"login": ADDRESS, "password": NEW["password1"]}, follow=True)
    assert answer.redirect_chain[-1][0] == "/accounts/2fa/?next=%2Fadmin%2F"


def test_the_link_dies_after_a_day(db, settings, monkeypatch):
    assert settings.PASSWORD_RESET_TIMEOUT == 24 * 3600
    link = link_in(create_staff(ADDRESS))
    now = default_token_generator._now()
    monkeypatch.setattr(type(default_token_generator), "_now", lambda _: now + timedelta(hours=25))
    assert set_password(link) == 200


def test_once_more_gives_a_new_link_and_the_old_one_ends(db):
    old = link_in(create_staff(ADDRESS, "--role", "operator"))
    answer = create_staff(ADDRESS.upper())
    assert "(operator)" in answer
    assert set_password(old) == 200
    assert set_password(link_in(answer)) == 302
    assert User.objects.count() == 1


def test_mails_the_link_when_told_to(db):
    link = link_in(create_staff(ADDRESS, "--mail"))
    assert [sent.to for sent in mail.outbox] == [[ADDRESS]]
    assert link in mail.outbox[0].body
    assert mail.outbox[0].subject == "Set your GAS password"


def test_is_noted(db):
    create_staff(ADDRESS, "--role", "operator")
    event = AuditEvent.objects.get(action="staff.created")
    assert (event.actor_name, event.subject, event.after) == ("create_staff", User.objects.get(), {"role": "operator"})
    assert ADDRESS not in f"{event.reason}{event.before}{event.after}"


def test_refuses_a_researchers_address(researcher):
    with pytest.raises(CommandError, match="researcher's address"):
        create_staff(researcher.email)
    researcher.refresh_from_db()
    assert not researcher.is_staff


def test_refuses_staff_that_has_a_password(make_staff):
    staff = make_staff("support")
    with pytest.raises(CommandError, match=r"has a password\. .* http://localhost:\d+/accounts/password/reset/"):
        create_staff(staff.email)
    assert User.objects.get().check_password("a long password of the desk")


def test_refuses_what_is_no_address_and_two_roles(db):
    with pytest.raises(CommandError, match="no e-mail address"):
        create_staff("petra")
    with pytest.raises(CommandError, match="not allowed with"):
        create_staff(ADDRESS, "--superuser", "--role", "support")
    assert not User.objects.exists()
