"""The PEM files of the settings: what an operator reads about each."""

import datetime
import os
from pathlib import Path
from typing import Any

import pytest
from harness.certificates import Authority
from harness.envoy_config import APP, simple

from extproc.checks.certificates import check_certificates, endless_for_envoy
from extproc.checks.findings import Finding

NOW = datetime.datetime.now(datetime.UTC)
HOUR = datetime.timedelta(hours=1)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a certificate of 25 hours, its key, another key, and the authority."""
    directory = tmp_path_factory.mktemp("certificates")
    authority = Authority()
    for name in ("tls", "other"):
        authority.issue(
            "app.test", certificate=directory / f"{name}.crt", key=directory / f"{name}.key"
        )
    (directory / "ca.pem").write_bytes(authority.pem)
    (directory / "two.pem").write_bytes(authority.pem + Authority("another").pem)
    (directory / "text").write_text("no PEM")
    return directory


def gateway(files: Path, certificate: str = "tls.crt", key: str = "tls.key") -> dict[str, Any]:
    return {
        "url": "https://localhost:8080",
        "tls": {"certificate": str(files / certificate), "key": str(files / key)},
    }


def found(now: datetime.datetime = NOW, **changes: Any) -> list[Finding]:
    return list(check_certificates(simple(**changes), now))


def test_a_certificate_that_is_right_says_until_when(files: Path) -> None:
    (finding,) = found(gateway=gateway(files))
    assert finding.level == "ok" and "is valid until 20" in finding.what


@pytest.mark.parametrize(
    ("after", "level", "what"),
    [
        (-2 * HOUR, "error", "is not valid before"),
        (17 * HOUR, "ok", "is valid until"),
        (18.5 * HOUR, "warning", "in 5 hours"),
        (23.5 * HOUR, "warning", "less than an hour"),
        (25 * HOUR, "error", "expired on"),
    ],
)
def test_the_end_of_a_certificate_is_named_soon_and_afterwards(
    files: Path, after: datetime.timedelta, level: str, what: str
) -> None:
    (finding,) = found(NOW + after, gateway=gateway(files))
    assert (finding.part, finding.level) == ("gateway.tls.certificate", level)
    assert what in finding.what and str(files / "tls.crt") in finding.what


@pytest.mark.parametrize(
    ("certificate", "key", "part", "what"),
    [
        ("gone", "tls.key", "gateway.tls.certificate", "gone does not exist"),
        ("tls.crt", "gone", "gateway.tls.key", "gone does not exist"),
        ("text", "tls.key", "gateway.tls.certificate", "holds no certificate in PEM"),
        ("tls.crt", "text", "gateway.tls.key", "holds no private key in PEM"),
        ("tls.key", "tls.key", "gateway.tls.certificate", "holds no certificate in PEM"),
        ("tls.crt", "other.key", "gateway.tls.key", "is not the key of the first certificate"),
        (
            ".",
            "tls.key",
            "gateway.tls.certificate",
            "cannot be read here (is a directory, and a file is needed)",
        ),
    ],
)
def test_a_wrong_file_is_an_error_in_plain_words(
    files: Path, certificate: str, key: str, part: str, what: str
) -> None:
    (finding,) = (
        each for each in found(gateway=gateway(files, certificate, key)) if each.level != "ok"
    )
    assert (finding.level, finding.part) == ("error", part)
    assert what in finding.what and finding.remedy


@pytest.mark.parametrize(
    ("file", "after", "level", "what"),
    [
        ("ca.pem", 0 * HOUR, "ok", "is valid until"),
        ("ca.pem", 25 * HOUR, "error", "expired on"),
        ("text", 0 * HOUR, "error", "holds no certificate in PEM"),
        ("gone", 0 * HOUR, "error", "does not exist"),
    ],
)
def test_the_authorities_of_client_certificates_are_looked_at(
    files: Path, file: str, after: datetime.timedelta, level: str, what: str
) -> None:
    made = gateway(files)
    made["tls"]["client_ca_file"] = str(files / file)
    (finding,) = (
        each
        for each in found(NOW + after, gateway=made)
        if each.part == "gateway.tls.client_ca_file"
    )
    assert finding.level == level and what in finding.what


def test_what_has_no_end_is_an_error_and_kept_from_envoy(files: Path) -> None:
    os.mkfifo(pipe := files / "pipe")
    made = gateway(files, key=str(pipe))
    (finding,) = (each for each in found(gateway=made) if each.level != "ok")
    assert (finding.level, finding.part) == ("error", "gateway.tls.key")
    assert f"{pipe} cannot be read here (is not a regular file" in finding.what
    assert endless_for_envoy(simple(gateway=made)) == "gateway.tls.key"
    for harmless in ("tls.key", "gone"):
        assert endless_for_envoy(simple(gateway=gateway(files, key=harmless))) is None


def test_a_file_that_is_missing_where_envoy_may_not_run_is_a_warning(files: Path) -> None:
    made = {**gateway(files, "gone"), "processors": ["10.0.0.1:9500"]}
    assert [each.level for each in found(gateway=made)] == ["warning"]


def test_every_file_of_the_settings_is_examined(files: Path) -> None:
    names = ("ca", "certificate", "key", "envoy_certificate", "envoy_key")
    upstream = {"upstream": "https://a.example", "upstream_ca_file": str(files / "gone")}
    provider = {
        "issuer": "https://idp.example",
        "client_id": "x",
        "client_secret": "x",
        "ca_file": str(files / "gone"),
    }
    redis = {"kind": "redis", "servers": ["localhost:6379"], "tls": True}
    findings = found(
        listen_tls={name: str(files / "gone") for name in names},
        applications={"app": {**APP, **upstream}},
        providers={"main": provider},
        store={**redis, "ca_file": str(files / "gone")},
    )
    assert {each.part for each in findings} == {
        *(f"listen_tls.{name}" for name in names),
        "applications.app.upstream_ca_file",
        "providers.main.ca_file",
        "store.ca_file",
    }
    assert {each.level for each in findings} == {"error"}


@pytest.mark.parametrize(("name", "level"), [("ca.pem", "error"), ("two.pem", "warning")])
def test_an_authority_that_expired_beside_another_is_a_warning(
    files: Path, name: str, level: str
) -> None:
    application = {**APP, "upstream": "https://a", "upstream_ca_file": str(files / name)}
    (finding,) = found(NOW + 100 * HOUR, applications={"app": application})
    assert (finding.level, "expired on" in finding.what) == (level, True)


def test_a_file_that_is_read_once_is_replaced_with_a_restart(files: Path) -> None:
    """A rename is enough for Envoy and for listen_tls, and for no client of the processor's own."""
    ca = str(files / "ca.pem")
    client = {"issuer": "https://idp.example", "client_id": "x", "client_secret": "x"}
    redis = {"kind": "redis", "servers": ["localhost:6379"], "tls": True, "ca_file": ca}
    upstream = {"upstream": "https://a.example", "upstream_ca_file": ca}
    late = NOW + 100 * HOUR
    findings = found(
        late,
        applications={"app": {**APP, **upstream}},
        providers={"main": {**client, "ca_file": ca}},
        store=redis,
    )
    findings += found(late, store={"kind": "cookie", "tombstones": redis})
    remedies = {each.part: each.remedy for each in findings}
    restart = "replace it, and restart the processor"
    assert "by a rename" in remedies.pop("applications.app.upstream_ca_file")
    assert remedies == dict.fromkeys(
        ("providers.main.ca_file", "store.ca_file", "store.tombstones.ca_file"), restart
    )


# Of the curve brainpoolP160r1 (RFC 5639), made with OpenSSL.
UNKNOWN_KEY = """
MGQCAQAwFAYHKoZIzj0CAQYJKyQDAwIIAQEBBEkwRwIBAQQUcDggWLOEf7luH84q
aZOtaqDvCYihLAMqAAQBO9leyD9vtCTjg0z6hlC5Nz4+mK9V4kKEjpfU5FdA1Y6w
R/qf6yKc
"""
UNKNOWN_CERTIFICATE = """
MIIBTTCCAQqgAwIBAgIUG8cYuQcsH8guDgxMi9I/0dXHJUMwCgYIKoZIzj0EAwIw
EzERMA8GA1UEAwwIYXBwLnRlc3QwHhcNMjYxMTI4MTkzMDQxWhcNMzYxMTI1MTkz
MDQxWjATMREwDwYDVQQDDAhhcHAudGVzdDBCMBQGByqGSM49AgEGCSskAwMCCAEB
AQMqAAQBO9leyD9vtCTjg0z6hlC5Nz4+mK9V4kKEjpfU5FdA1Y6wR/qf6yKco1Mw
UTAdBgNVHQ4EFgQUlf1a0qFYXhDXbGPSYnKsmeuy4sswHwYDVR0jBBgwFoAUlf1a
0qFYXhDXbGPSYnKsmeuy4sswDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgMx
ADAuAhUAmqf1UeLU9UaSDRE6OY1kQDbSFT8CFQCOTV6E/W+NbF0puTb76IwDVBNi
3A==
"""


def pem(label: str, body: str) -> str:
    return f"-----BEGIN {label}-----{body}-----END {label}-----\n"


@pytest.mark.parametrize(("certificate", "key"), [("x.crt", "x.key"), ("x.crt", "tls.key")])
def test_a_key_of_a_kind_that_is_not_known_here_is_a_warning(
    files: Path, tmp_path: Path, certificate: str, key: str
) -> None:
    (tmp_path / "x.crt").write_text(pem("CERTIFICATE", UNKNOWN_CERTIFICATE))
    (tmp_path / "x.key").write_text(pem("PRIVATE KEY", UNKNOWN_KEY))
    (tmp_path / "tls.key").write_bytes((files / "tls.key").read_bytes())
    findings = found(gateway=gateway(tmp_path, certificate, key))
    assert [(each.level, each.part) for each in findings if "cannot be looked at" in each.what] == [
        ("warning", "gateway.tls.key")
    ]


def test_a_pipe_is_not_read(files: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "tls.crt")
    (tmp_path / "tls.key").write_bytes((files / "tls.key").read_bytes())
    (finding,) = found(gateway=gateway(tmp_path))
    assert finding.level == "error" and "not a regular file" in finding.what
