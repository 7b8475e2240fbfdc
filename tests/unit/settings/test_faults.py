"""Faults of the settings file in the operator's terms."""

import pytest

from extproc.settings import Settings, SettingsError
from extproc.settings.faults import Fault, models_in
from extproc.settings.gateway import TLS


@pytest.mark.attack("HDR-16")
@pytest.mark.parametrize(
    ("change", "explanation"),
    [
        ({"gatway": {}}, ": gatway: there is no such key; did you mean gateway?"),
        ({"zzz": 1}, ": zzz: there is no such key"),
        (
            {"providers": {"main": {"client_secrt": "x"}}},
            ": providers.main.client_secrt: there is no such key; did you mean client_secret?",
        ),
        (
            {"providers": {"store": {"issuer": "https://x"}}},
            ": providers.store.client_id: is missing",
        ),
        (
            {"applications": {"App": {"hosts": ["x"], "upstream": "http://x", "exclude": True}}},
            "is not a name of lower-case letters",
        ),
        ({"applications": None}, ": applications: is missing"),
        ({"allow_plaintext": ["all"]}, ": allow_plaintext[0]: input should be 'listen', "),
    ],
)
def test_a_fault_names_the_key_as_it_stands_in_the_file(fault, change, explanation):
    assert explanation in fault(change)


def test_several_faults_are_said_at_once(read):
    with pytest.raises(SettingsError) as caught:
        read({"lisen": "x", "session": {"idle": "x"}, "admin": 5})
    assert len(str(caught.value).splitlines()) == 3


def test_no_fault_prints_a_secret(read):
    with pytest.raises(SettingsError) as caught:
        read({"secret": "hunter2", "providers": {"main": {"client_secret": ["hunter3"]}}})
    assert "hunter" not in str(caught.value)


def test_a_fault_without_a_key_is_its_text_alone():
    assert str(Fault("", "is wrong")) == "is wrong"
    assert str(Fault("store.path", "is wrong")) == "store.path: is wrong"


def test_the_models_within_an_annotation_are_found():
    assert list(models_in(TLS | None)) == [TLS]
    assert list(models_in(dict[str, tuple[Settings, ...]])) == [Settings]
    assert list(models_in(dict[str, int])) == []
