"""Settings of client certificates: subjects and alternative names as Envoy writes them."""

from typing import Any

import pytest
from harness.envoy_config import APP, simple
from harness.ruled import certified
from pydantic import ValidationError

from extproc.settings.client_certificate import is_subject, san_type
from extproc.settings.faults import explain


def rule(certificate: object, **more: Any) -> dict[str, Any]:
    return {"name": "in", "paths": ["/in/"], "client_certificate": certificate, **more}


@pytest.mark.parametrize(
    ("san", "kind"),
    [
        ("a.example", "DNS"),
        ("worker_1", "DNS"),
        ("spiffe://example.com/billing", "URI"),
        ("urn:uuid:1", "URI"),
        ("tag:example.com,2026:x", "URI"),
        ("mailto:a@example.com", "URI"),
        ("a+b@example.com", "EMAIL"),
        ("10.0.0.1", "IP_ADDRESS"),
        ("2001:db8::1", "IP_ADDRESS"),
        ("2001:DB8::1", None),
        ("::ffff:10.0.0.1", None),
        ("fe80::1%eth0", None),
        ("*.example.com", None),
        ("a.example.", None),
        ("a.example,b.example", None),
        ("a.example:8443", None),
        ("DNS:a.example", None),
        ("URI:spiffe://a", None),
        ("IP:10.0.0.1", None),
        ("email:a@b.example", None),
        ("CN=a", None),
        ("a b", None),
        ("a@b@c", None),
        ("bücher.example", None),
        ("a.example\n", None),
        ("", None),
        ("a" * 2000, "DNS"),
        ("a" * 2001, None),
    ],
)
def test_an_alternative_name_has_the_type_that_it_looks_like(san: str, kind: str | None) -> None:
    assert san_type(san) == kind


@pytest.mark.parametrize(
    "subject",
    [
        "CN=alice",
        r"CN=a\,b,O=Org",
        r"CN=Zo\C3\AB",
        r"CN=\ a#\ ",
        r"CN=\#a",
        r"CN=a\\\,O=b",
        r"CN=a\00b",
        "CN=",
        "CN=a b=c,O=x/y",
        "CN=" + "a" * 1997,
        "O=b+CN=a",
        "1.2.3.4.5=#0C0178",
        "street=s,C=DE,GN=g,UID=u,serialNumber=12,DC=dc,emailAddress=a@b.c",
    ],
)
def test_a_subject_is_written_as_envoy_writes_it(subject: str) -> None:
    assert is_subject(subject)


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "alice",
        "CN = a",
        "CN=a, O=b",
        "/CN=a",
        "subject=CN=a",
        "CN=a ",
        "CN= a",
        "CN=#a",
        "CN=a;b",
        'CN="a"',
        "CN=a<b>",
        "CN=Zoë",
        "CN=a,",
        ",CN=a",
        "CN=a\\",
        r"CN=a\zz",
        "CN=a\n",
        "CN=a\0",
        "CN=" + "a" * 1998,
    ],
)
def test_another_form_of_a_subject_would_match_nothing_and_is_refused(subject: str) -> None:
    assert not is_subject(subject)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        (rule({}), "names no certificate; give it subjects, sans or both"),
        (rule(None), "client_certificate is empty, which would be any; leave it out"),
        (rule({"sans": []}), "client_certificate.sans: "),
        (rule({"sans": ["*.example"]}), "sans: '*.example' is not an alternative name"),
        (rule({"subjects": ["alice"]}), "subjects: 'alice' is not a subject such as CN=billing"),
        (rule({"san": ["a"]}), "there is no such key; did you mean sans?"),
        (rule({"sans": ["a"]}, deny=True), "deny: true goes with none of"),
        (rule({"sans": ["a"]}, mode="shadow"), "mode: shadow goes with none of"),
    ],
)
def test_a_mistake_is_named(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError) as caught:
        certified(changes)
    (fault,) = (str(each) for each in explain(caught.value))
    assert what in fault and fault.startswith("applications.app.rules[0]")


@pytest.mark.parametrize(
    "gateway",
    [
        {},
        {"url": "https://localhost:8443"},
        {"url": "https://localhost:8443", "tls": {"certificate": "a", "key": "b"}},
    ],
)
def test_a_rule_that_names_certificates_needs_an_envoy_that_asks_for_them(
    gateway: dict[str, Any],
) -> None:
    app = {**APP, "rules": [rule({"sans": ["a.example"]})]}
    with pytest.raises(ValidationError) as caught:
        simple(gateway=gateway, applications={"app": app})
    assert (
        "applications.app.rules.in.client_certificate: Envoy asks no client for a certificate; set "
        "gateway.tls, with client_ca_file" in str(caught.value)
    )


def test_it_goes_with_every_login() -> None:
    for login in ("required", "optional", "none"):
        made = certified(rule({"subjects": ["CN=a"], "sans": ["a.example"]}, login=login))
        certificate = made.applications["app"].rules[0].client_certificate
        assert certificate is not None
        assert (certificate.subjects, certificate.sans) == (("CN=a",), ("a.example",))
