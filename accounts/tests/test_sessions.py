import re
import time
from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.utils import timezone

from accounts.fakeglobus import PREMIUM
from accounts.models import AuditEvent
from accounts.sessions import in_words

MOZILLA, KHTML = "Mozilla/5.0", "AppleWebKit/537.36 (KHTML, like Gecko)"
FIREFOX = f"{MOZILLA} (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
IPHONE = f"{MOZILLA} (iPhone; CPU iPhone OS 18_5 like Mac OS X) {KHTML} Version/18.5 Mobile/15E148 Safari/604.1"


@pytest.fixture
def browsers(new_browser):
    """Three browsers of one researcher, and one of another."""
    made = [new_browser() for _ in range(4)]
    for one, agent in zip(made, (FIREFOX, IPHONE, "curl/8", FIREFOX), strict=True):
        one.session.headers["User-Agent"] = agent
    for one in made[:3]:
        one.sign_in()
    made[0].complete_profile()
    made[3].sign_in(PREMIUM.sub)
    return made


def row_of(browser) -> UserSession:
    return UserSession.objects.get(session_key=browser.session_key)


def test_page_lists_the_sessions_of_this_person(browsers):
    page = browsers[0].get("/profile/sessions/").text
    rows = re.findall(r"<tr>\s*<th scope=\"row\">(.*?)</th>(.*?)</tr>", page, re.DOTALL)
    assert {browser for browser, _ in rows} == {"Firefox on Linux", "Safari on an iPhone", "An unknown program"}
    assert len(rows) == 3
    assert {browser: "This one" in rest for browser, rest in rows}["Firefox on Linux"]
    assert page.count("This one") == 1
    assert page.count("127.0.0.1</td>") == 3
    assert set(re.findall(r'name="end" value="(\w+)"', page)) == {
        str(row_of(browsers[1]).pk), str(row_of(browsers[2]).pk), "others"
    }  # fmt: skip
    assert browsers[0].session_key not in page


def test_one_is_ended(browsers):
    answer = browsers[0].post("/profile/sessions/", {"end": row_of(browsers[1]).pk})
    assert answer.headers["Location"] == "/profile/sessions/"
    assert [browser.is_signed_in for browser in browsers] == [True, False, True, True]
    assert UserSession.objects.count() == 3
    event = AuditEvent.objects.get(action="session.ended")
    assert (event.actor, event.after) == (row_of(browsers[0]).user, {"sessions": 1})


def test_all_others_are_ended(browsers):
    browsers[0].post("/profile/sessions/", {"end": "others"})
    assert [browser.is_signed_in for browser in browsers] == [True, False, False, True]
    assert AuditEvent.objects.get(action="session.ended").after == {"sessions": 2}
    assert "end-others" not in browsers[0].get("/profile/sessions/").text
    browsers[0].post("/profile/sessions/", {"end": "others"}, page="/profile/")
    assert AuditEvent.objects.filter(action="session.ended").count() == 1


def test_sessions_of_others_are_not_there(browsers):
    for end in (row_of(browsers[3]).pk, row_of(browsers[0]).pk, 10**9, "", "x"):
        assert browsers[0].post("/profile/sessions/", {"end": end}).status_code == 404
    assert [browser.is_signed_in for browser in browsers] == [True] * 4


def test_ending_needs_step_up(browsers, settings):
    settings.STEP_UP_AGE = timedelta(0)
    answer = browsers[0].post("/profile/sessions/", {"end": "others"})
    assert answer.headers["Location"] == "/step-up/?next=%2Fprofile%2Fsessions%2F"
    assert browsers[1].is_signed_in
    assert browsers[0].get("/profile/sessions/").status_code == 200


def test_ending_needs_a_csrf_token_and_a_signed_in_person(browsers, client, db):
    assert browsers[0].post_bare("/profile/sessions/", {"end": "others"}).status_code == 403
    assert client.get("/profile/sessions/").headers["Location"] == "/login/?next=/profile/sessions/"
    assert client.post("/profile/sessions/").headers["Location"] == "/login/?next=/profile/sessions/"


def test_staff_have_a_page_of_their_own(desk):
    assert desk("support").get("/profile/sessions/").headers["Location"] == "/accounts/sessions/"


def change(browser, **values):
    session = Session.objects.get(session_key=browser.session_key)
    Session.objects.save(session.session_key, session.get_decoded() | values, session.expire_date)


def test_use_is_noted_every_five_minutes(browsers):
    then = timezone.now() - timedelta(days=1)
    UserSession.objects.update(last_seen_at=then, ip="192.0.2.1")
    browsers[0].get("/profile/")
    assert row_of(browsers[0]).last_seen_at == then

    change(browsers[0], seen_at=time.time() - 301)
    browsers[0].get("/profile/")

    row = row_of(browsers[0])
    assert (row.last_seen_at > then, row.ip) == (True, "127.0.0.1")
    assert row_of(browsers[1]).last_seen_at == then


def test_session_that_is_used_lives_on_and_one_that_is_not_ends(browsers, settings):
    for browser in browsers[:2]:
        browser.get("/profile/")  # the first request notes when the session was seen, and shows what messages there are
    soon = timezone.now() + timedelta(hours=1)
    Session.objects.update(expire_date=soon)
    change(browsers[0], seen_at=time.time() - 301)
    browsers[0].get("/profile/")
    browsers[1].get("/profile/")
    left = {key: expires - timezone.now() for key, expires in Session.objects.values_list("session_key", "expire_date")}
    assert left[browsers[0].session_key] > timedelta(hours=11)
    assert left[browsers[1].session_key] < timedelta(hours=1)

    Session.objects.update(expire_date=timezone.now())
    assert not browsers[0].is_signed_in


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (FIREFOX, "Firefox on Linux"),
        (IPHONE, "Safari on an iPhone"),
        (f"{MOZILLA} (Windows NT 10.0; Win64; x64) {KHTML} Chrome/139.0.0.0 Safari/537.36 Edg/139.0.0.0", "Edge on Windows"),
        (f"{MOZILLA} (Linux; Android 10; K) {KHTML} Chrome/139.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
        (f"{MOZILLA} (Macintosh; Intel Mac OS X 10_15_7) {KHTML} Version/18.5 Safari/605.1.15", "Safari on macOS"),
        (f"{MOZILLA} (X11; Linux x86_64) {KHTML} HeadlessChrome/139.0.0.0 Safari/537.36", "Chrome on Linux"),
        ("<script>alert(1)</script>", "An unknown program"),
        ("", "An unknown program"),
    ],
)  # fmt: skip
def test_browser_in_words(agent, words):
    assert in_words(agent) == words
