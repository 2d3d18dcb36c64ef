import re
import smtplib
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from allauth.account.models import EmailAddress
from django.core.cache import cache
from django.http import QueryDict

from accounts.fakeglobus import FREE, PREMIUM
from accounts.forms import MailsForm, ProfileForm
from accounts.models import AuditEvent, Plan, Profile, User
from accounts.plans import change_plan
from accounts.tests.conftest import HOSTILE

NEW = "rosalind@home.example.org"
UNCONFIRMED = "No mail is sent until you follow the link that we sent to {}. Send it again"


@pytest.fixture
def signed_in(browser):
    browser.sign_in()
    browser.complete_profile()
    return browser


@pytest.fixture
def confirmed(signed_in, mailoutbox):
    signed_in.post(link_in(mailoutbox[-1]))
    return signed_in


WOKEN = []


def wake(user):
    WOKEN.append(user)


def fail(user):
    raise RuntimeError("of the test")


def refuse(self, mails):
    raise smtplib.SMTPRecipientsRefused({mails[0].to[0]: (550, b"no such mailbox")})


def shown(browser, path) -> str | None:
    """The notice about an unconfirmed address, in words."""
    found = re.search(r'<div class="alert[^>]*id="unconfirmed".*?</div>', browser.get(path).text, re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", found[0]).split()).replace(" .", ".") if found else None


def link_in(mail) -> str:
    [link] = re.findall(r"http://\S+/accounts/confirm-email/\S+", mail.body)
    return link


def test_first_visit_proposes_what_globus_says(browser):
    browser.sign_in()
    page = browser.get("/profile/").text
    for value in (FREE.name, FREE.email, FREE.organization):
        assert f'value="{value}"' in page


@pytest.mark.parametrize("heading", ["/annotate/", "/annotations/?page=2&all=1"])
def test_where_the_person_was_heading_is_carried_through_completion(browser, heading):
    assert browser.sign_in(next_page=heading) == heading
    detour = browser.get(heading).headers["Location"]
    assert detour == "/profile/?" + urlencode({"next": heading})
    form = browser.get(detour).text
    carried = re.search(r'name="next" value="([^"]*)"', form).group(1).replace("&amp;", "&")
    assert browser.complete_profile(next=carried).headers["Location"] == heading
    assert User.objects.get().profile.completed_at is not None
    assert browser.get(heading).status_code == 200


@pytest.mark.parametrize("hostile", HOSTILE)
def test_open_redirect_by_completion(browser, hostile):
    """Seed defect 7, at its other end."""
    browser.sign_in()
    page = browser.get("/profile/?" + urlencode({"next": hostile})).text
    assert 'name="next" value="/"' in page
    assert browser.complete_profile(next=hostile).headers["Location"] == "/"


def test_nothing_but_the_profile_before_it_is_complete(browser):
    browser.sign_in()
    for path in ("/", "/annotate/", "/annotations/", "/subscribe/"):
        assert browser.get(path).headers["Location"].startswith("/profile/")
    browser.complete_profile(institution="")
    assert User.objects.get().profile.completed_at is None


def test_later_visit_edits_and_shows_identity_and_plan(signed_in):
    answer = signed_in.complete_profile(full_name="R. Free", institution="Elsewhere", next="/annotate/")
    assert answer.headers["Location"] == "/profile/"
    page = signed_in.get("/profile/").text
    for text in (
        "R. Free",
        "Elsewhere",
        FREE.sub,
        FREE.email,
        "Stand-in Institute",
        "150.0",
        "5 minutes",
        "/subscribe/",
    ):
        assert text in page


def test_change_without_csrf_token(signed_in):
    """Seed defect 6."""
    answer = signed_in.post_bare("/profile/", {"full_name": "X", "email": NEW, "institution": "X"})
    assert answer.status_code == 403
    assert User.objects.get().full_name == FREE.name


def test_anonymous_is_sent_to_sign_in(client, db):
    assert client.get("/profile/").headers["Location"] == "/login/?next=/profile/"


def test_address_from_globus_is_a_claim_until_its_link_is_followed(signed_in, mailoutbox):
    """Seed defect 9: mail to any address that somebody types. Globus's word is no better: an identity may say any."""
    assert [mail.to for mail in mailoutbox] == [[FREE.email]]
    assert User.objects.get().mail_address == ""
    assert shown(signed_in, "/annotate/") == UNCONFIRMED.format(FREE.email)

    assert signed_in.get(link_in(mailoutbox[0])).status_code == 200
    assert User.objects.get().mail_address == ""  # a mail scanner that follows links confirms nothing

    assert signed_in.post(link_in(mailoutbox[0])).headers["Location"] == "/profile/"
    user = User.objects.get()
    assert (user.email, user.mail_address) == (FREE.email, FREE.email)
    assert list(EmailAddress.objects.values_list("email", "verified", "primary")) == [(FREE.email, True, True)]
    assert shown(signed_in, "/annotate/") is None
    assert "used already" in signed_in.get(link_in(mailoutbox[0])).text
    assert len(mailoutbox) == 1  # nobody to tell that it was changed


def test_confirmed_address_stays_in_use_until_the_next_one_is_confirmed(confirmed, mailoutbox):
    confirmed.complete_profile(email=NEW.upper())
    assert mailoutbox[-1].to == [NEW]
    assert User.objects.get().mail_address == FREE.email
    words = f"Mails go to {FREE.email} until you follow the link that we sent to {NEW}. Send it again"
    assert shown(confirmed, "/profile/") == words
    assert shown(confirmed, "/annotate/") is None

    confirmed.post(link_in(mailoutbox[-1]))

    assert User.objects.get().mail_address == NEW
    assert list(EmailAddress.objects.values_list("email", "verified", "primary")) == [(NEW, True, True)]
    told = mailoutbox[-1]
    assert (told.to, told.subject) == ([FREE.email], "The address of your GAS account was changed")
    assert "127.0.0.1" in told.body
    assert NEW not in told.body


def test_dead_mail_server_does_not_keep_the_old_address(confirmed, mailoutbox, monkeypatch):
    confirmed.complete_profile(email=NEW)
    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", refuse)
    confirmed.post(link_in(mailoutbox[-1]))
    assert User.objects.get().mail_address == NEW


def test_change_of_a_confirmed_address_needs_step_up(confirmed, mailoutbox, settings):
    settings.STEP_UP_AGE = timedelta(0)
    answer = confirmed.complete_profile(email=NEW, institution="Elsewhere")
    assert answer.headers["Location"] == "/step-up/?next=%2Fprofile%2F"
    assert len(mailoutbox) == 1
    assert User.objects.get().profile.institution == FREE.organization
    assert User.objects.get().pending_address == ""

    assert confirmed.complete_profile(institution="Elsewhere").headers["Location"] == "/profile/"
    settings.STEP_UP_AGE = timedelta(minutes=5)
    confirmed.complete_profile(email=NEW)
    settings.STEP_UP_AGE = timedelta(0)
    assert confirmed.complete_profile(email=NEW, institution="Third").headers["Location"] == "/profile/"
    assert User.objects.get().pending_address == NEW


def test_first_address_needs_no_step_up(signed_in, mailoutbox, settings):
    settings.STEP_UP_AGE = timedelta(0)
    signed_in.complete_profile(email=NEW)
    assert mailoutbox[-1].to == [NEW]
    assert shown(signed_in, "/profile/") == UNCONFIRMED.format(NEW)


def test_confirmation_is_an_audit_event_and_wakes_the_mails_that_waited(confirmed, mailoutbox, settings):
    confirmed.complete_profile(email=NEW)
    WOKEN.clear()
    settings.FOLLOWERS = settings.FOLLOWERS | {"address_confirmed": [f"{__name__}.wake"]}
    confirmed.post(link_in(mailoutbox[-1]))
    assert [(user.pk, user.mail_address) for user in WOKEN] == [(User.objects.get().pk, NEW)]
    first, second = AuditEvent.objects.filter(action="email.changed").order_by("pk")
    assert (first.before, first.after) == ({"confirmed": False}, {"confirmed": True})
    assert (second.before, second.subject) == ({"confirmed": True}, User.objects.get())
    assert not [event for event in AuditEvent.objects.values_list("before", "after", "actor_name") if "@" in str(event)]


def test_follower_that_fails_leaves_the_address_unconfirmed(confirmed, mailoutbox, settings, client):
    confirmed.complete_profile(email=NEW)
    settings.FOLLOWERS = settings.FOLLOWERS | {"address_confirmed": [f"{__name__}.fail"]}
    with pytest.raises(RuntimeError, match="of the test"):
        client.post(link_in(mailoutbox[-1]))
    assert User.objects.get().mail_address == FREE.email
    assert AuditEvent.objects.filter(action="email.changed").count() == 1
    assert [mail.to for mail in mailoutbox] == [[FREE.email], [NEW]]  # and nobody is told of a change


def test_going_back_to_the_old_address_withdraws_the_new_one(confirmed, mailoutbox):
    confirmed.complete_profile(email=NEW)
    confirmed.complete_profile(email=FREE.email)
    assert list(EmailAddress.objects.values_list("email", flat=True)) == [FREE.email]
    assert "used already" in confirmed.get(link_in(mailoutbox[-1])).text


def test_link_can_be_asked_for_again_after_three_minutes(signed_in, mailoutbox):
    ask = {"next": "/annotations/"}
    assert signed_in.post("/profile/confirm/", ask, page="/profile/").headers["Location"] == "/annotations/"
    assert len(mailoutbox) == 1
    assert "is not three minutes old" in signed_in.get("/profile/").text
    cache.clear()
    signed_in.post("/profile/confirm/", ask, page="/profile/")
    assert [mail.to for mail in mailoutbox] == [[FREE.email]] * 2
    signed_in.post(link_in(mailoutbox[0]))  # and the first one still holds
    assert User.objects.get().mail_address == FREE.email
    signed_in.post("/profile/confirm/", ask, page="/profile/")
    assert len(mailoutbox) == 2  # there is nothing to confirm
    assert signed_in.get("/profile/confirm/").status_code == 405
    assert signed_in.post_bare("/profile/confirm/").status_code == 403


def test_asking_again_is_rate_limited(signed_in):
    answers = [signed_in.post("/profile/confirm/", page="/profile/").status_code for _ in range(10)]
    assert answers[-1] == 429


def test_saving_again_sends_no_second_link(signed_in, mailoutbox):
    cache.clear()
    signed_in.complete_profile()
    assert len(mailoutbox) == 1


def test_dead_mail_server_does_not_keep_a_profile_from_being_saved(browser, monkeypatch, caplog):
    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", refuse)
    browser.sign_in()
    assert browser.complete_profile().status_code == 302
    assert User.objects.get().profile.completed_at is not None
    assert f"The mail to {FREE.email} could not be sent" in browser.get("/profile/").text
    assert "SMTPRecipientsRefused" in caplog.text
    assert FREE.email not in caplog.text


def test_mails_to_many_addresses_are_rate_limited(signed_in, mailoutbox):
    statuses = [signed_in.complete_profile(email=f"{n}@example.org").status_code for n in range(10)]
    assert statuses == [302] * 9 + [429]  # with the first, that completed the profile
    assert len(mailoutbox) == 10


def test_the_mail_to_an_address_that_was_only_typed_has_no_words_of_who_typed_it(signed_in, mailoutbox):
    signed_in.complete_profile(full_name="You won, see evil.example", email=NEW)
    assert mailoutbox[-1].to == [NEW]
    assert "evil.example" not in mailoutbox[-1].subject + mailoutbox[-1].body


def test_who_has_no_address_at_all_is_told(client, researcher):
    EmailAddress.objects.all().delete()
    User.objects.update(email="")
    client.force_login(researcher)
    assert "No mail is sent: you have no confirmed address." in client.get("/annotate/").text


def test_plan_of_the_same_moment_is_kept(researcher, rf):
    form = ProfileForm(QueryDict("full_name=R&email=rosalind@example.org&institution=X"), researcher.profile)
    assert form.is_valid()
    assert change_plan(User.objects.get(), Plan.PREMIUM)
    form.keep(rf.post("/profile/"))
    assert User.objects.get().plan.code == Plan.PREMIUM
    assert Profile.objects.get().institution == "X"


def test_address_that_another_account_has_verified(signed_in, mailoutbox):
    owner = User.objects.create_researcher(NEW)
    signed_in.complete_profile(email=NEW)
    link = link_in(mailoutbox[-1])
    assert "belongs to another account" in signed_in.get(link).text
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', signed_in.get("/profile/").text).group(1)
    signed_in.post_bare(link, {"csrfmiddlewaretoken": token})
    assert list(EmailAddress.objects.filter(verified=True).values_list("user", flat=True)) == [owner.pk]
    assert User.objects.get(social_auth__uid=FREE.sub).mail_address == ""


def test_address_that_another_account_verifies_at_the_same_moment(signed_in, mailoutbox, monkeypatch):
    User.objects.create_researcher(FREE.email)
    monkeypatch.setattr(EmailAddress, "can_set_verified", lambda _: True)
    assert signed_in.post(link_in(mailoutbox[0])).headers["Location"] == "/profile/"
    assert "belongs to another account already" in signed_in.get("/profile/").text
    assert User.objects.get(social_auth__uid=FREE.sub).mail_address == ""


def test_link_of_another_account_signs_nobody_out_by_get(signed_in, new_browser, mailoutbox):
    other = new_browser()
    other.sign_in(PREMIUM.sub)
    other.complete_profile(email=NEW)
    assert signed_in.get(link_in(mailoutbox[-1])).status_code == 200
    assert signed_in.is_signed_in


def test_plan_is_read_from_the_database_at_each_request(signed_in):
    """Seed defects 5 and 12: the role that the session remembers."""
    assert "150.0" in signed_in.get("/profile/").text
    Profile.objects.update(plan=Plan.PREMIUM)
    assert "150.0" not in signed_in.get("/profile/").text
    Plan.objects.filter(pk=Plan.PREMIUM).update(max_upload_bytes=1024**2, retention=timedelta(days=2))
    page = signed_in.get("/profile/").text
    assert "1.0" in page
    assert "2 days" in page


def test_session_ends_at_its_age_however_busy(signed_in, settings):
    assert signed_in.is_signed_in
    settings.SESSION_ABSOLUTE_AGE = -1
    assert not signed_in.is_signed_in
    settings.SESSION_ABSOLUTE_AGE = 3600
    assert not signed_in.is_signed_in


def test_staff_need_no_profile_to_work(admin_client):
    assert admin_client.get("/").status_code == 200
    page = admin_client.get("/profile/").text
    for text in (admin_client.user.email, "/accounts/2fa/", "/accounts/sessions/", "/accounts/password/change/"):
        assert text in page
    assert admin_client.post("/profile/", {"full_name": "X", "email": NEW, "institution": "X"}).status_code == 405
    assert admin_client.post("/profile/mails/").status_code == 404
    assert not Profile.objects.exists()


def test_choice_of_mails(signed_in, client, outsider):
    profile = User.objects.get(social_auth__uid=FREE.sub).profile
    assert signed_in.post("/profile/mails/", {"mail_failed": "on"}, page="/profile/").headers["Location"] == "/profile/"
    profile.refresh_from_db()
    assert (profile.mail_completed, profile.mail_failed, profile.mail_expiring) == (False, True, False)
    page = signed_in.get("/profile/").text
    assert re.findall(r'id="id_(mail_\w+)" checked', page) == ["mail_failed"]
    outsider.profile.refresh_from_db()
    assert outsider.profile.mail_completed
    assert signed_in.get("/profile/mails/").status_code == 405
    assert signed_in.post_bare("/profile/mails/").status_code == 403
    assert client.post("/profile/mails/").headers["Location"] == "/login/?next=/profile/mails/"


def test_choice_of_mails_keeps_the_plan_of_the_same_moment(researcher):
    form = MailsForm(QueryDict("mail_failed=on"), researcher.profile)
    assert form.is_valid()
    assert change_plan(User.objects.get(), Plan.PREMIUM)
    form.keep()
    assert User.objects.get().plan.code == Plan.PREMIUM


def test_pages_of_the_account_lead_to_each_other(signed_in):
    for path in ("/profile/", "/profile/sessions/"):
        page = signed_in.get(path).text
        for other in ("/profile/", "/profile/sessions/", "/profile/tokens/", "/profile/data/", "/subscribe/"):
            assert f'href="{other}"' in page
