import re
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from allauth.account.models import EmailAddress
from django.http import QueryDict

from accounts.fakeglobus import FREE, PREMIUM
from accounts.forms import ProfileForm
from accounts.models import Plan, Profile, User
from accounts.plans import change_plan

NEW = "rosalind@home.example.org"


@pytest.fixture
def signed_in(browser):
    browser.sign_in()
    browser.complete_profile()
    return browser


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


@pytest.mark.parametrize(
    "hostile",
    [
        "https://evil.example/",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "http:evil.example",
        "javascript:alert(1)",
        "https://localhost@evil.example/",
    ],
)
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


def test_address_from_globus_needs_no_confirmation(signed_in, mailoutbox):
    signed_in.complete_profile(email=FREE.email.upper())
    assert mailoutbox == []
    assert User.objects.get().mail_address == FREE.email


def test_typed_address_gets_mail_only_after_confirmation(signed_in, mailoutbox):
    """Seed defect 9: mail to any address that somebody types."""
    signed_in.complete_profile(email=NEW.upper())

    assert [mail.to for mail in mailoutbox] == [[NEW]]
    user = User.objects.get()
    assert (user.email, user.mail_address) == ("", FREE.email)
    page = signed_in.get("/profile/").text
    assert NEW in page
    assert f"mails go to <strong>{FREE.email}</strong>" in page

    assert signed_in.get(link_in(mailoutbox[0])).status_code == 200
    assert User.objects.get().mail_address == FREE.email  # a mail scanner that follows links confirms nothing

    assert signed_in.post(link_in(mailoutbox[0])).headers["Location"] == "/profile/"
    user = User.objects.get()
    assert (user.email, user.mail_address) == (NEW, NEW)
    assert list(EmailAddress.objects.values_list("email", "verified", "primary")) == [(NEW, True, True)]
    assert "used already" in signed_in.get(link_in(mailoutbox[0])).text


def test_confirmed_address_is_replaced_by_the_next_one(signed_in, mailoutbox):
    for address in (NEW, "third@example.org"):
        signed_in.complete_profile(email=address)
        signed_in.post(link_in(mailoutbox[-1]))
        assert User.objects.get().mail_address == address
    assert list(EmailAddress.objects.values_list("email", "verified", "primary")) == [("third@example.org", True, True)]


def test_going_back_to_the_old_address_withdraws_the_new_one(signed_in, mailoutbox):
    signed_in.complete_profile(email=NEW)
    signed_in.complete_profile(email=FREE.email)
    assert not EmailAddress.objects.exists()
    assert "used already" in signed_in.get(link_in(mailoutbox[0])).text


def test_saving_again_does_not_flood_the_new_address(signed_in, mailoutbox):
    signed_in.complete_profile(email=NEW)
    signed_in.complete_profile(email=NEW)
    assert len(mailoutbox) == 1
    signed_in.post(link_in(mailoutbox[0]))  # and the link that was sent still holds
    assert User.objects.get().mail_address == NEW


def test_mails_to_many_addresses_are_rate_limited(signed_in, mailoutbox):
    statuses = [signed_in.complete_profile(email=f"{n}@example.org").status_code for n in range(10)]
    assert statuses == [302] * 9 + [429]  # with the first, that completed the profile
    assert len(mailoutbox) == 9


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
    link = link_in(mailoutbox[0])
    assert "belongs to another account" in signed_in.get(link).text
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', signed_in.get("/profile/").text).group(1)
    signed_in.post_bare(link, {"csrfmiddlewaretoken": token})
    assert list(EmailAddress.objects.filter(verified=True).values_list("user", flat=True)) == [owner.pk]
    assert User.objects.get(social_auth__uid=FREE.sub).mail_address == FREE.email


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
    assert admin_client.get("/profile/").status_code == 200
    assert not Profile.objects.exists()
