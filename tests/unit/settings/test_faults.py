"""Faults of the settings file in the operator's terms."""

import pytest
import yaml

from extproc.settings import Settings, SettingsError, load
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
        ({"secret": ["x" * 32, 5]}, ": secret[1]: input should be a valid string"),
        ({"secret": [["x"]]}, ": secret[0]: input should be a valid string"),
        ({"providers": {"str": 5}}, ": providers.str: input should be an object"),
        (
            {"providers": {"secretstr": {"issuer": 5, "client_id": "x"}}},
            ": providers.secretstr.issuer: input should be a valid string",
        ),
        (
            {"providers": {"tombstones": {"redis": 5, "issuer": "https://x", "client_id": "x"}}},
            ": providers.tombstones.redis: there is no such key",
        ),
        (
            {"providers": {"SecretStr": {"issuer": "https://x", "client_id": "x"}}},
            ": providers.SecretStr: is not a name",
        ),
        ({"identity": {"headers": {"str": 5}}}, ": identity.headers.str: input should be a valid"),
        ({"store": {"kind": "what"}}, ": store.kind: there is no kind 'what'; there are: 'sqlite'"),
        (
            {"store": {"kind": "cookie", "tombstones": {"kind": "sqlite", "paht": "x"}}},
            "mean path?",
        ),
        (
            {"store": {"kind": "cookie", "tombstones": {"kind": "cookie"}}},
            ": store.tombstones.kind: there is no kind 'cookie'; there are: 'sqlite', 'redis'",
        ),
        ({"allow_plaintext": ["all"]}, ": allow_plaintext[0]: input should be 'listen', "),
    ],
)
def test_a_fault_names_the_key_as_it_stands_in_the_file(fault, change, explanation):
    assert explanation in fault(change)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("store: {kind: }", "store"),
        ("store: {kind: cookie, tombstones: {kind: ~}}", "store.tombst"),
    ],
)
def test_a_kind_without_a_value_is_empty(file, right, text, key):
    file.write_text(f"{yaml.safe_dump(right)}\n{text}\n")
    with pytest.raises(SettingsError, match=rf": {key}[a-z]*\.kind: is empty; there are: 'sqlite'"):
        load(file)


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
