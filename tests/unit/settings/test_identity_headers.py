"""The identity headers of one application."""

import pytest
from harness.envoy_config import APP, simple
from harness.section import faults, made
from pydantic import ValidationError

from extproc.core.oidc.claims import Claims
from extproc.settings.domain import applications
from extproc.settings.fingerprint import fingerprint
from extproc.settings.identity_headers import PRESETS, check_header


def test_a_preset_and_further_headers_stand_in_place_of_the_gateway_s() -> None:
    identity = {
        "preset": "grafana",
        "headers": {
            "x-webauth-user": "preferred_username",
            "x-webauth-name": None,
            "x-team": "team",
        },
    }
    settings = made(identity=identity)
    assert settings.identity_headers("app") == {
        "x-webauth-user": "preferred_username",
        "x-webauth-email": "email",
        "x-webauth-groups": "groups",
        "x-team": "team",
    }
    core = applications(settings, settings.key_ring())["app"]
    assert dict(core.identity) == settings.identity_headers("app")
    assert made().identity_headers("app") == settings.identity.headers


def test_a_header_may_be_plain_utf_8() -> None:
    headers = {"x-webauth-name": {"claim": "name", "encoding": "raw"}, "x-team": {"claim": "team"}}
    settings = made(identity={"preset": "grafana", "headers": headers})
    assert settings.identity_headers("app")["x-webauth-name"] == "name"
    assert settings.identity_headers("app")["x-team"] == "team"
    core = applications(settings, settings.key_ring())["app"]
    assert core.raw_headers == {"x-webauth-name"}
    claims = Claims({"name": "Zoë", "team": "Zoë"})
    assert core.identity_headers(claims) == (("x-webauth-name", "Zoë"), ("x-team", "Zo%C3%AB"))


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_names_headers_that_may_hold_an_identity(preset: str) -> None:
    settings = made(identity={"preset": preset})
    assert "sub" in settings.identity_headers("app").values()
    for header in settings.identity_headers("app"):
        check_header(header)


@pytest.mark.attack("HDR-16")
@pytest.mark.parametrize(
    ("identity", "what"),
    [
        ({"preset": "nginx"}, "identity.preset: "),
        ({"headers": {"X-User": "sub"}}, "'X-User' is not a header name in lower case"),
        ({"headers": {"x_user": "sub"}}, "is not a header name in lower case"),
        ({"headers": {"x-user-": "sub"}}, "is not a header name in lower case"),
        ({"headers": {"x--user": "sub"}}, "is not a header name in lower case"),
        ({"headers": {"": "sub"}}, "is not a header name in lower case"),
        ({"headers": {"x" * 65: "sub"}}, "is not a header name in lower case"),
        ({"headers": {"x-user": ""}}, "headers.x-user: the claim's name is missing"),
        ({"headers": {"x-user": {"claim": ""}}}, "headers.x-user"),
        ({"headers": {"x-user": {"claim": "a", "encoding": "utf-8"}}}, "headers.x-user"),
        ({"headers": {"x-user": {"encoding": "raw"}}}, "headers.x-user"),
        ({"headers": {"x-user": None}}, "null leaves out a header of the preset"),
        ({"preset": "grafana", "headers": dict.fromkeys(PRESETS["grafana"])}, "none left"),
        ({"header": {"x-user": "sub"}}, "there is no such key; did you mean headers?"),
    ],
)
def test_a_mistake_is_named(identity: object, what: str) -> None:
    (fault,) = faults(identity=identity)
    assert what in fault


@pytest.mark.attack("HDR-16")
@pytest.mark.parametrize(
    "name",
    [
        *("authorization", "cookie", "host", "connection", "te", "transfer-encoding", "upgrade"),
        *("content-length", "content-type", "proxy-authorization", "forwarded", "x-forwarded-for"),
        *("x-forwarded-proto", "x-forwarded-host", "x-envoy-original-path", "x-request-id"),
        *("traceparent", "b3", "x-b3-traceid", "x-real-ip", "origin", "sec-fetch-site", "accept"),
        *("x-extproc-cookies", "x-accel-redirect", "x-original-url", "exp", "session", "user"),
    ],
)
def test_a_header_that_means_something_else_is_no_identity(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} means something else"):
        check_header(name)


def test_no_client_may_send_what_any_application_reads() -> None:
    other = {**APP, "hosts": ["other.example"], "url": "http://other.example/"}
    applications = {"app": APP, "other": {**other, "identity": {"preset": "oauth2-proxy"}}}
    settings = simple(applications=applications)
    assert settings.own_identity_headers == tuple(sorted(PRESETS["oauth2-proxy"]))
    plain = simple(applications={"app": APP, "other": other})
    for name in ("app", "other"):
        assert fingerprint(settings, name) != fingerprint(plain, name)
    with pytest.raises(ValidationError, match="kept_headers: x-forwarded-user is an identity"):
        simple(applications=applications, gateway={"kept_headers": ["x-forwarded-user"]})


def test_an_excluded_application_has_no_identity() -> None:
    plain = {"hosts": ["plain"], "upstream": APP["upstream"], "exclude": True}
    with pytest.raises(ValidationError, match="identity"):
        simple(applications={"app": {**plain, "identity": {"preset": "grafana"}}})
