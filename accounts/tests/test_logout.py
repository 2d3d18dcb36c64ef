from django.contrib.sessions.models import Session

from accounts.models import User
from accounts.tests.conftest import query_of

OFFLINE_TRANSFER = {
    "SOCIAL_AUTH_GLOBUS_AUTH_EXTRA_ARGUMENTS": {"access_type": "offline"},
    "SOCIAL_AUTH_GLOBUS_SCOPE": ["urn:globus:auth:scope:transfer.api.globus.org:all"],
}


def test_sign_out_ends_the_session_and_revokes_every_token(browser, globus, settings):
    for name, value in OFFLINE_TRANSFER.items():
        setattr(settings, name, value)
    browser.sign_in()
    browser.complete_profile()
    issued, key = set(globus.tokens.grants), browser.session_key
    assert len(issued) == 4
    stored = str(Session.objects.get(session_key=key).get_decoded())
    assert not any(token in stored for token in issued)

    answer = browser.post("/logout/", page="/profile/")

    assert answer.headers["Location"].startswith(f"{globus.issuer}/v2/web/logout?")
    assert query_of(answer.headers["Location"]) == {
        "client_id": "dev-client",
        "redirect_uri": f"{browser.site}/",
        "redirect_name": "GAS",
    }
    assert set(globus.tokens.revoked) == issued
    revocations = [call for call in globus.calls if call.path.endswith("/revoke")]
    assert all(call.headers["authorization"].startswith("Basic ") and not call.query for call in revocations)
    assert not Session.objects.filter(session_key=key).exists()
    assert not User.objects.get().usersession_set.exists()
    browser.session.cookies.set("sessionid", key)
    assert not browser.is_signed_in


def test_globus_page_ends_its_session_and_links_back(browser, globus):
    browser.sign_in()
    browser.complete_profile()
    page = browser.session.get(browser.post("/logout/", page="/profile/").headers["Location"])
    assert f'href="{browser.site}/"' in page.text
    assert not globus.sessions


def test_sign_out_works_with_globus_down(browser, globus):
    browser.sign_in()
    browser.complete_profile()
    globus.faults.add("revoke_down")
    answer = browser.post("/logout/", page="/profile/")
    assert answer.status_code == 302
    assert not browser.is_signed_in


def test_sign_out_works_after_the_keys_were_replaced(browser, settings):
    browser.sign_in()
    settings.FIELD_KEYS = ["h0Wz1cV0l3n1mJ2g1tqv7p0XwWn9eZ0b3zq1r5s2u4A="]
    assert browser.post("/logout/", page="/profile/").status_code == 302
    assert not browser.is_signed_in


def test_get_does_not_sign_out(browser):
    """Seed defect 6: a GET from any site changes state."""
    browser.sign_in()
    assert browser.get("/logout/").status_code == 405
    assert browser.post_bare("/logout/").status_code == 403
    assert browser.is_signed_in


def test_sign_out_of_whoever_came_by_password(client, django_user_model, db):
    client.force_login(
        django_user_model.objects.create_superuser("root", "root@example.org", "x" * 20),
        backend="allauth.account.auth_backends.AuthenticationBackend",
    )
    assert client.post("/logout/").headers["Location"] == "/"
    assert client.get("/profile/").status_code == 302
