import pytest
from cryptography.fernet import Fernet, InvalidToken

from accounts.crypto import seal, unseal


def test_sealed_value_is_unreadable_and_comes_back():
    sealed = seal(["Ag-secret"])
    assert "Ag-secret" not in sealed
    assert unseal(sealed) == ["Ag-secret"]


def test_older_keys_still_open_and_the_first_seals(settings):
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.FIELD_KEYS = [old]
    sealed = seal("x")
    settings.FIELD_KEYS = [new, old]
    assert unseal(sealed) == "x"
    renewed = seal("x")
    settings.FIELD_KEYS = [new]
    assert unseal(renewed) == "x"
    with pytest.raises(InvalidToken):
        unseal(sealed)
