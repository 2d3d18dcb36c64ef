"""The wish to be erased: asked for, told, undone, due; and what is left of an account without jobs."""

import smtplib
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import IntegrityError, models, transaction
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone
from social_django.models import UserSocialAuth

from accounts import erasing, tasks
from accounts.audit import note
from accounts.billing import BillingUnavailable
from accounts.models import ApiToken, AuditEvent, Erasure, Plan, Profile, Subscription, User
from accounts.plans import change_plan
from gas.hints import dispatch_due
from gas.leases import IllegalMove

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
STAYS = {"accounts.AuditEvent", "accounts.Erasure", "accounts.Subscription", "accounts.User"}


@pytest.fixture(autouse=True)
def no_heartbeat(monkeypatch):
    monkeypatch.setattr("gas.heartbeat.BEAT_SECONDS", 600)


@pytest.fixture
def at_home(researcher, fresh):
    """The researcher's browser, just signed in."""
    browser = Client()
    browser.force_login(researcher, backend=BACKEND)
    return fresh(browser)


@pytest.fixture
def erasure(researcher):
    erasure, _ = Erasure.ask(researcher)
    return erasure


def overdue(erasure):
    past = Now() - timedelta(seconds=1)
    Erasure.objects.filter(pk=erasure.pk).update(due_at=past, next_action_at=past, not_before=None, lease_until=None)


def step(erasure):
    tasks.erase_account(str(erasure.pk))
    erasure.refresh_from_db()
    return erasure.status


def ask(browser, typed="rosalind@example.org"):
    return browser.post("/profile/erase/", {"confirm": typed})


# --- asking -----------------------------------------------------------------------------------------------------------


def test_asked_for_by_the_typed_address(at_home, researcher, hints):
    assert ask(at_home, " Rosalind@example.org ").headers["Location"] == "/profile/data/"
    [erasure] = Erasure.objects.all()
    assert (erasure.user, erasure.status) == (researcher, "PENDING")
    assert timedelta(days=6, hours=23) < erasure.due_at - timezone.now() < timedelta(days=7)
    [event] = AuditEvent.objects.filter(action="erasure.asked")
    assert (event.actor, event.subject, event.actor_name) == (researcher, researcher, "owner")


@pytest.mark.parametrize("typed", ["", "erase my account", "oscar@example.org"])
def test_anything_else_asks_for_nothing(at_home, typed):
    page = ask(at_home, typed)
    assert page.status_code == 200
    assert 'role="alert"' in page.content.decode()
    assert not Erasure.objects.exists()


def test_who_has_no_address_types_a_sentence(at_home, researcher):
    User.objects.filter(pk=researcher.pk).update(email="")
    assert ask(at_home, "Erase my account").status_code == 302
    assert Erasure.objects.count() == 1


def test_needs_a_fresh_sign_in(at_home, fresh):
    fresh(at_home, False)
    assert ask(at_home).headers["Location"] == "/step-up/?next=%2Fprofile%2Ferase%2F"
    assert at_home.get("/profile/erase/").headers["Location"] == "/step-up/?next=%2Fprofile%2Ferase%2F"
    assert not Erasure.objects.exists()


@pytest.mark.parametrize("path", ["/profile/data/", "/profile/data/download/", "/profile/erase/"])
def test_staff_has_no_such_pages(desk, path):
    assert desk("support").get(path).status_code == 404


def test_staff_is_not_erased(desk, fresh):
    browser = desk()
    assert browser.post("/profile/erase/", {"confirm": browser.user.email}).status_code == 404
    assert browser.post("/profile/erase/undo/").status_code == 404
    assert not Erasure.objects.exists()


def test_asked_twice_it_is_one(at_home, researcher, erasure):
    assert ask(at_home).headers["Location"] == "/profile/data/"
    assert Erasure.ask(researcher) == (erasure, False)
    assert Erasure.objects.count() == 1


# --- the banner, and undoing ------------------------------------------------------------------------------------------


def test_every_page_says_so_and_has_the_button(at_home, erasure):
    for path in ("/", "/profile/", "/annotate/", "/annotations/", "/subscribe/", "/profile/data/"):
        page = at_home.get(path).content.decode()
        assert 'id="erasure"' in page, path
        assert 'action="/profile/erase/undo/"' in page
        assert f"{erasure.due_at:%H:%M} UTC" in page


def test_nobody_else_sees_it(client, outsider, researcher, erasure):
    assert 'id="erasure"' not in client.get("/").content.decode()
    client.force_login(outsider, backend=BACKEND)
    assert 'id="erasure"' not in client.get("/").content.decode()
    User.objects.filter(pk=researcher.pk).update(is_staff=True)  # who could not undo it
    client.force_login(researcher, backend=BACKEND)
    assert 'id="erasure"' not in client.get("/").content.decode()


def test_undone_without_a_fresh_sign_in(at_home, fresh, erasure):
    fresh(at_home, False)
    at_home.post("/profile/erase/undo/")
    erasure.refresh_from_db()
    assert (erasure.status, erasure.next_action_at) == ("WITHDRAWN", None)
    assert 'id="erasure"' not in at_home.get("/profile/data/").content.decode()
    assert AuditEvent.objects.filter(action="erasure.withdrawn").count() == 1
    at_home.post("/profile/erase/undo/")  # once more: there is nothing
    assert AuditEvent.objects.filter(action="erasure.withdrawn").count() == 1
    ask(fresh(at_home))
    assert Erasure.objects.filter(status="PENDING").count() == 1


@pytest.mark.parametrize("how", [{}, {"HTTP_REFERER": "https://evil.example"}])
def test_undone_and_asked_for_by_forms_of_ours_only(researcher, fresh, erasure, how):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(researcher, backend=BACKEND)
    fresh(browser)
    assert browser.post("/profile/erase/undo/", **how).status_code == 403
    assert browser.post("/profile/erase/", {"confirm": researcher.email}, **how).status_code == 403
    assert browser.get("/profile/erase/undo/").status_code == 405
    erasure.refresh_from_db()
    assert erasure.status == "PENDING"


def test_somebody_elses_is_not_undone(client, outsider, erasure):
    client.force_login(outsider, backend=BACKEND)
    client.post("/profile/erase/undo/")
    erasure.refresh_from_db()
    assert erasure.status == "PENDING"


def test_undone_while_a_worker_sends_the_mail(erasure):
    assert Erasure.objects.get(pk=erasure.pk).claim()
    assert erasure.withdraw()  # as it was loaded before
    assert (erasure.status, erasure.lease_until) == ("WITHDRAWN", None)


def test_too_late_to_undo(erasure):
    overdue(erasure)
    mine = Erasure.objects.get(pk=erasure.pk)
    assert Erasure.objects.get(pk=erasure.pk).claim()
    assert not mine.withdraw()
    assert mine.status == "ERASING"


# --- the row ----------------------------------------------------------------------------------------------------------


def test_moves_that_there_are_not(erasure):
    with pytest.raises(IllegalMove):
        erasure.erased()
    assert erasure.withdraw()
    with pytest.raises(IllegalMove):
        erasure._move("PENDING")
    assert not erasure.claim()


def test_the_database_knows_the_rules(erasure, researcher):
    rows = Erasure.objects.filter(pk=erasure.pk)
    for wrong in (
        {"status": "GONE"},
        {"status": "ERASED"},
        {"next_action_at": None},
        {"ended_at": Now()},
        {"status": "WITHDRAWN", "ended_at": Now(), "next_action_at": None, "lease_until": Now()},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            rows.update(**wrong)
    with pytest.raises(IntegrityError), transaction.atomic():
        Erasure.objects.create(user=researcher, due_at=timezone.now(), next_action_at=timezone.now())
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=researcher.pk).update(erased_at=Now())


def test_one_worker_at_a_time(erasure):
    overdue(erasure)
    first, second = Erasure.objects.get(pk=erasure.pk), Erasure.objects.get(pk=erasure.pk)
    assert first.claim()
    assert not second.claim()
    assert not Erasure.objects.get(pk=erasure.pk).claim()
    Erasure.objects.filter(pk=erasure.pk).update(lease_until=Now() - timedelta(seconds=1))
    assert Erasure.objects.get(pk=erasure.pk).claim()
    assert not first.renew()
    assert not first.farewell()
    assert not first.wait("nothing")
    assert not first.erased()


# --- the mails --------------------------------------------------------------------------------------------------------


def test_the_mail_tells_the_date_and_where_to_undo(erasure, mailoutbox, settings):
    assert step(erasure) == "PENDING"
    [mail] = mailoutbox
    assert mail.to == ["rosalind@example.org"]
    assert f"{erasure.due_at:%-d %B %Y, %H:%M} UTC" in mail.body
    assert f"{settings.SITE_URL}/profile/data/" in mail.body
    assert erasure.next_action_at == erasure.due_at
    assert erasure.lease_until is None
    step(erasure)
    assert len(mailoutbox) == 1


def test_a_mail_server_out_of_reach(erasure, monkeypatch, caplog):
    def refuse(self):
        raise OSError("connection refused for rosalind@example.org")

    monkeypatch.setattr("django.core.mail.EmailMessage.send", refuse)
    assert step(erasure) == "PENDING"
    assert (erasure.waits_for, erasure.told_at, erasure.pauses) == ("the mail server", None, 1)
    assert "rosalind" not in caplog.text
    overdue(erasure)
    assert step(erasure) == "ERASING"  # the date holds all the same, and the last mail is waited for
    assert erasure.waits_for == "the mail server"
    overdue(erasure)
    Erasure.objects.update(due_at=Now() - timedelta(days=4))
    assert step(erasure) == "ERASED"  # but not for ever


def test_an_address_that_is_refused(erasure, monkeypatch):
    def refuse(self):
        raise smtplib.SMTPRecipientsRefused({"rosalind@example.org": (550, b"no such user")})

    monkeypatch.setattr("django.core.mail.EmailMessage.send", refuse)
    step(erasure)
    assert erasure.told_at is not None
    overdue(erasure)
    assert step(erasure) == "ERASED"


def test_nobody_to_write_to(erasure, researcher, mailoutbox):
    User.objects.filter(pk=researcher.pk).update(email="")
    step(erasure)
    assert erasure.told_at is not None
    overdue(erasure)
    assert step(erasure) == "ERASED"
    assert mailoutbox == []


# --- erasing ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def well_known(researcher, make_staff, at_home):
    """The researcher, about whom there is something in every table of accounts."""
    UserSocialAuth.objects.create(user=researcher, provider="globus", uid="1-2-3", extra_data={"name": "Rosalind"})
    Authenticator.objects.create(user=researcher, type="recovery_codes", data={})
    Profile.objects.filter(user=researcher).update(globus_email="rosalind@example.org", institution="King's College")
    ApiToken.issue(researcher, "laptop", ["read"], timedelta(days=1))
    staff = make_staff("support")
    change_plan(researcher, Plan.PREMIUM, by=staff, reason="Rosalind wrote to us")
    note("role.changed", Plan.objects.get(pk="free"), by=researcher)
    kind = ContentType.objects.get_for_model(User)
    LogEntry.objects.create(
        user=staff,
        content_type=kind,
        object_id=str(researcher.pk),
        object_repr=str(researcher),
        action_flag=CHANGE,
        change_message="Rosalind Free was changed",
    )
    UserSession.objects.create(user=researcher, session_key=at_home.session.session_key, ip="192.0.2.7", user_agent="x")
    return researcher


def rows_of(user):
    """{model: number of its rows that point at `user`}, for all models that do so directly."""
    found = {}
    for model in apps.get_models():
        for field in model._meta.fields:
            if field.related_model is User:
                count = model._base_manager.filter(**{field.name: user}).count()
                found[model._meta.label] = found.get(model._meta.label, 0) + count
    return found


def everything_as_text():
    """All rows of all tables."""
    return "\n".join(
        str(row) for model in apps.get_models() for row in model._base_manager.values_list(*_columns(model))
    )


def _columns(model):
    return [field.attname for field in model._meta.fields if not isinstance(field, models.BinaryField)]


def test_nothing_says_who_it_was(well_known, mailoutbox):
    erasure, _ = Erasure.ask(well_known)
    username = well_known.username
    overdue(erasure)
    assert step(erasure) == "ERASED"
    user = User.objects.get(pk=well_known.pk)
    assert (user.email, user.full_name, user.is_active, user.last_login) == ("", "", False, None)
    assert user.erased_at is not None
    assert user.username != username
    assert not user.has_usable_password()
    assert {label for label, count in rows_of(user).items() if count} <= STAYS
    text = everything_as_text().lower()
    for trace in ("rosalind", "king's", "1-2-3", "laptop", "192.0.2.7", username):
        assert trace not in text, trace
    assert Subscription.objects.filter(user=user).count() == 1
    assert set(AuditEvent.objects.about(user).values_list("action", flat=True)) == {"plan.changed", "account.erased"}
    [mail] = mailoutbox
    assert mail.to == ["rosalind@example.org"]
    assert "is erased" in mail.subject


def test_what_points_to_a_user_is_known(well_known):
    """A new model with a user in it must be deleted here, by its app, or be named in STAYS."""
    elsewhere = {"jobs.Job", "jobs.Upload", "jobs.MonthlyUse", "archive.Restoration"}  # archive/tests/test_erasure.py
    deleted = {model._meta.label for model in erasing.WHO_IT_WAS}
    by_staff = {"admin.LogEntry"}
    assert set(rows_of(well_known)) == STAYS - {"accounts.User"} | deleted | elsewhere | by_staff


def test_other_accounts_stay_whole(well_known, outsider):
    browser = Client()
    browser.force_login(outsider, backend=BACKEND)
    before = User.objects.filter(pk=outsider.pk).values().get(), EmailAddress.objects.get(user=outsider)
    note("role.changed", outsider, by=outsider, reason="his own")
    erasure, _ = Erasure.ask(well_known)
    overdue(erasure)
    step(erasure)
    assert (User.objects.filter(pk=outsider.pk).values().get(), EmailAddress.objects.get(user=outsider)) == before
    assert browser.get("/profile/").status_code == 200
    assert AuditEvent.objects.about(outsider).get().reason == "his own"


def test_all_sessions_end_known_or_not(at_home, researcher, erasure):
    other = Client()
    other.force_login(researcher, backend=BACKEND)
    Session.objects.update(expire_date=timezone.now() - timedelta(days=1))
    overdue(erasure)
    step(erasure)
    assert not Session.objects.exists()


def test_the_account_is_closed_as_soon_as_the_grace_is_over(at_home, well_known, monkeypatch):
    erasure, _ = Erasure.ask(well_known)
    monkeypatch.setattr(erasing, "follow", lambda event, user: [{"jobs": 2, "uploads": 0}, {"archives": 1}])
    overdue(erasure)
    assert step(erasure) == "ERASING"
    assert erasure.waits_for == "2 jobs, 1 archives"
    well_known.refresh_from_db()
    assert not well_known.is_active
    assert ApiToken.objects.get().revoked_at is not None
    assert at_home.get("/profile/").status_code == 302
    assert well_known.email  # the last mail goes there
    assert step(erasure) == "ERASING"  # in its pause
    assert erasure.pauses == 1


def test_the_payment_service_out_of_reach(erasure, researcher, monkeypatch):
    def unavailable(user):
        raise BillingUnavailable

    monkeypatch.setattr(erasing, "end_subscriptions", unavailable)
    overdue(erasure)
    assert step(erasure) == "ERASING"
    assert erasure.waits_for == "the payment service"
    monkeypatch.setattr(erasing, "end_subscriptions", lambda user: None)
    overdue(erasure)
    assert step(erasure) == "ERASED"
    assert erasure.waits_for == ""


def test_an_unexpected_error_waits_too(erasure, monkeypatch):
    def fail(user):
        raise ZeroDivisionError

    monkeypatch.setattr(erasing, "close", fail)
    overdue(erasure)
    assert step(erasure) == "ERASING"
    assert erasure.waits_for == "ZeroDivisionError"
    assert erasure.lease_until is None


def test_not_before_it_is_due(erasure, researcher):
    step(erasure)
    assert step(erasure) == "PENDING"
    researcher.refresh_from_db()
    assert researcher.is_active
    assert dispatch_due() == 0
    overdue(erasure)
    assert dispatch_due() == 1


def test_who_lost_the_lease_erases_nothing(erasure, researcher, monkeypatch):
    overdue(erasure)

    def lose(user):
        Erasure.objects.update(lease_until=Now() - timedelta(seconds=1))
        assert Erasure.objects.get(pk=erasure.pk).claim()

    monkeypatch.setattr(erasing, "end_subscriptions", lose)
    assert step(erasure) == "ERASING"
    assert EmailAddress.objects.filter(user=researcher).exists()


def test_a_plan_for_an_erased_account(erasure, researcher):
    overdue(erasure)
    step(erasure)
    assert not change_plan(researcher, Plan.PREMIUM, by="Stripe")
    assert not Profile.objects.filter(user=researcher).exists()
    assert not Subscription.objects.exists()


def test_the_same_identity_begins_anew(browser, monkeypatch):
    browser.sign_in()
    browser.complete_profile()
    old = User.objects.get()
    Profile.objects.update(institution="of old")
    erasure, _ = Erasure.ask(old)
    monkeypatch.setattr(erasing, "follow", lambda event, user: [{"jobs": 1}])
    overdue(erasure)
    assert step(erasure) == "ERASING"
    assert browser.get("/profile/").status_code == 302
    Profile.objects.update(globus_username="")
    assert browser.sign_in() == "/login/"  # closed
    assert Profile.objects.get().globus_username == ""
    assert not browser.is_signed_in
    monkeypatch.undo()
    overdue(erasure)
    assert step(erasure) == "ERASED"
    assert browser.sign_in() == "/"
    new = User.objects.exclude(pk=old.pk).get()
    assert new.profile.completed_at is None
    assert new.profile.institution == ""
    assert UserSocialAuth.objects.get().user == new


# --- operators --------------------------------------------------------------------------------------------------------


def test_backfill_goes_on_with_what_is_held_up(erasure, hints, capsys, django_capture_on_commit_callbacks):
    def backfill(*options):
        with django_capture_on_commit_callbacks(execute=True):
            call_command("backfill_erasures", *options)
        return capsys.readouterr().out.splitlines()

    assert backfill() == ["0 chosen, 0 enqueued"]
    erasure.claim()
    erasure.wait("the mail server")
    assert backfill("--dry-run")[-1] == "1 chosen, 0 enqueued (dry run)"
    assert hints("clean") == 0
    [line, count] = backfill()
    assert line == f"{erasure.pk} PENDING, due {erasure.due_at:%F %T} UTC, waits for the mail server"
    assert (count, hints("clean")) == ("1 chosen, 1 enqueued", 1)
    erasure.refresh_from_db()
    assert erasure.claim()
    assert backfill() == ["0 chosen, 0 enqueued"]  # somebody has it


def test_the_desk_looks_at_it(desk, erasure):
    browser = desk("support")
    page = browser.get("/admin/accounts/erasure/").content.decode()
    assert "PENDING" in page or "Pending" in page
    assert browser.get(f"/admin/accounts/erasure/{erasure.pk}/change/").status_code == 200
    assert browser.get("/admin/accounts/erasure/add/").status_code == 403
    assert browser.post(f"/admin/accounts/erasure/{erasure.pk}/change/", {}).status_code == 403
    assert browser.get(f"/admin/accounts/erasure/{erasure.pk}/delete/").status_code == 403
