from io import StringIO

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command

from accounts.crypto import seal, unseal

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture
def staff(make_staff, settings):
    """With an app and recovery codes, of which the first is used, all sealed under OLD; and NEW stands before it now."""
    settings.FIELD_KEYS = [OLD]
    staff = make_staff("support")
    TOTP.activate(staff, SECRET)
    codes = RecoveryCodes.activate(staff)
    codes.validate_code(codes.get_unused_codes()[0])
    Authenticator.objects.create(user=staff, type="webauthn", data={"name": "key", "credential": {"id": "x"}})
    settings.FIELD_KEYS = [NEW, OLD]
    return staff


def rotate_keys(*arguments: str) -> str:
    out = StringIO()
    call_command("rotate_keys", *arguments, stdout=out)
    return out.getvalue().strip()


def all_data():
    return list(Authenticator.objects.order_by("pk").values_list("data", flat=True))


def test_all_secrets_open_without_the_old_key(staff, settings):
    before = RecoveryCodes.activate(staff).get_unused_codes()
    assert rotate_keys() == "2 encrypted anew, 0 under the first key already."
    settings.FIELD_KEYS = [NEW]
    assert len(before) == 9
    assert RecoveryCodes.activate(staff).get_unused_codes() == before
    assert unseal(Authenticator.objects.get(type="totp").data["secret"]) == SECRET
    assert Authenticator.objects.get(type="webauthn").data == {"name": "key", "credential": {"id": "x"}}


def test_twice_does_nothing_more(staff):
    rotate_keys()
    done = all_data()
    assert rotate_keys() == "0 encrypted anew, 2 under the first key already."
    assert all_data() == done


def test_dry_run_says_and_does_nothing(staff):
    before = all_data()
    assert rotate_keys("--dry-run") == "2 to encrypt anew, 0 under the first key already."
    assert all_data() == before


def test_lists_of_sealed_values(staff, settings):
    settings.FIELD_KEYS = [OLD]
    Authenticator.objects.filter(type="recovery_codes").update(data={"migrated_codes": [seal("a"), seal("b")]})
    settings.FIELD_KEYS = [NEW, OLD]
    assert rotate_keys() == "3 encrypted anew, 0 under the first key already."
    settings.FIELD_KEYS = [NEW]
    data = Authenticator.objects.get(type="recovery_codes").data
    assert [unseal(code) for code in data["migrated_codes"]] == ["a", "b"]


def test_a_value_whose_key_is_missing_is_named_and_the_others_are_done(staff, settings):
    lost = Authenticator.objects.get(type="totp")
    Authenticator.objects.filter(pk=lost.pk).update(
        data={"secret": Fernet(Fernet.generate_key()).encrypt(b'"x"').decode()}
    )
    out = StringIO()
    with pytest.raises(CommandError, match=f"Second factors {lost.pk} open under none of FIELD_KEYS"):
        call_command("rotate_keys", stdout=out)
    assert out.getvalue().strip() == "1 encrypted anew, 0 under the first key already."
