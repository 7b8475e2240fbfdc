"""The PEM files of the settings: what an operator reads about each."""

import datetime
from pathlib import Path
from typing import Any

import pytest
from harness.certificates import Authority
from harness.envoy_config import APP, simple

from extproc.checks.certificates import check_certificates
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
        (".", "tls.key", "gateway.tls.certificate", "cannot be read here (Is a directory)"),
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
