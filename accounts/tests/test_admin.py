import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission

from accounts.models import Plan, Profile, User

PASSWORD = "correct horse battery staple"


@pytest.fixture
def root(db):
    return User.objects.create_superuser("root", "root@example.org", PASSWORD)


@pytest.fixture
def signed_in(client, root):
    client.post("/admin/login/", {"username": "root", "password": PASSWORD})
    return client


@pytest.fixture
def rosalind(researcher):
    Profile.objects.filter(user=researcher).update(globus_username="rfree@globusid.org")
    return researcher


def test_superuser_signs_in_with_username_and_password(client, root):
    answer = client.post("/admin/login/?next=/admin/", {"username": "root", "password": PASSWORD})
    assert answer.headers["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200


def test_wrong_password(client, root):
    assert (
        "correct username and password"
        in client.post("/admin/login/", {"username": "root", "password": "wrong"}).content.decode()
    )
    assert client.get("/admin/").status_code == 302


def test_sign_in_is_rate_limited(client, root):
    answers = [client.post("/admin/login/", {"username": "root", "password": "x"}).status_code for _ in range(31)]
    assert answers == [200] * 30 + [429]


def test_researcher_does_not_see_it(client, researcher):
    client.force_login(researcher, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert client.get("/admin/accounts/user/").status_code == 302


@pytest.mark.parametrize(
    "hidden",
    [
        "social_django/usersocialauth/",
        "social_django/nonce/",
        "social_django/association/",
        "usersessions/usersession/",
        "account/emailaddress/",
        "account/emailconfirmation/",
    ],
)
def test_tokens_and_session_keys_are_not_there(signed_in, hidden):
    assert signed_in.get(f"/admin/{hidden}").status_code == 404


def test_no_model_of_a_hidden_app_is_registered():
    apps = {model._meta.app_label for model in admin.site._registry}
    assert "accounts" in apps
    assert apps & {"social_django", "usersessions", "account", "sessions"} == set()


@pytest.mark.parametrize("by", ["pk", "email", "full_name", "globus_username", "part of pk"])
def test_search(signed_in, rosalind, outsider, by):
    wanted = {
        "pk": str(rosalind.pk),
        "part of pk": str(rosalind.pk)[:13],
        "email": "rosalind@exam",
        "full_name": "Rosalind",
        "globus_username": "rfree@globusid",
    }
    found = signed_in.get("/admin/accounts/user/", {"q": wanted[by]}).context["cl"].result_list
    assert list(found) == [rosalind]


def test_plan_is_changed_in_the_users_page_and_the_email_is_not(signed_in, rosalind):
    page = f"/admin/accounts/user/{rosalind.pk}/change/"
    form = signed_in.get(page).content.decode()
    assert "rosalind@example.org" in form
    assert 'name="email"' not in form
    assert 'name="password"' not in form
    answer = signed_in.post(
        page,
        {
            "full_name": "R. Free",
            "is_active": "on",
            "email": "evil@example.org",
            "profile-TOTAL_FORMS": 1,
            "profile-INITIAL_FORMS": 1,
            "profile-0-id": rosalind.profile.pk,
            "profile-0-user": str(rosalind.pk),
            "profile-0-plan": "premium",
            "profile-0-institution": "X",
            "emailaddress_set-TOTAL_FORMS": 0,
            "emailaddress_set-INITIAL_FORMS": 0,
        },
    )
    assert answer.status_code == 302
    user = User.objects.get(pk=rosalind.pk)
    assert (user.full_name, user.email, user.plan.code) == ("R. Free", "rosalind@example.org", Plan.PREMIUM)


def test_support_makes_nobody_staff_and_no_plan_larger(client, rosalind):
    support = User.objects.create_user("support", "support@example.org", PASSWORD, is_staff=True)
    wanted = ["view_user", "change_user", "view_plan", "change_plan"]
    support.user_permissions.set(Permission.objects.filter(codename__in=wanted))
    client.post("/admin/login/", {"username": "support", "password": PASSWORD})
    form = client.get(f"/admin/accounts/user/{rosalind.pk}/change/").content.decode()
    assert 'name="full_name"' in form
    for name in ("is_staff", "is_superuser", "groups", "user_permissions"):
        assert f'name="{name}"' not in form
    assert 'name="max_upload_bytes"' not in client.get("/admin/accounts/plan/free/change/").content.decode()


def test_superuser_changes_a_plan(signed_in):
    signed_in.post("/admin/accounts/plan/free/change/", {"name": "Free", "max_upload_bytes": 1, "retention": "1"})
    assert Plan.objects.get(pk="free").max_upload_bytes == 1
    assert signed_in.get("/admin/accounts/plan/add/").status_code == 403
    assert signed_in.get("/admin/accounts/user/add/").status_code == 403
