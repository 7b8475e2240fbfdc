"""URLs of a provider's metadata: accepted only as an HTTP client takes them, before and after they
are rewritten for a back channel.
"""

import json
from contextlib import suppress

import pytest
from harness.bad_urls import BAD_URLS
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from extproc.core.errors import InvalidMetadata
from extproc.core.oidc.metadata import ProviderMetadata
from extproc.core.oidc.urls import url_fault
from extproc.provider.http import client_fault
from extproc.settings import ProviderSettings

ISSUER, BACK = "https://idp.example/realm", "http://keycloak_1:8080/realm"
ENDPOINTS = (
    "authorization_endpoint", "end_session_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint", "revocation_endpoint",
    "introspection_endpoint",
)  # fmt: skip
RIGHT = {"issuer": ISSUER, **{name: f"{ISSUER}/{name}" for name in ENDPOINTS}}
GOOD = (
    "https://idp.example/x?a=b&c=<d>", "https://IDP.example:443/x", "https://idp.example.", "https://a_b-c.example:/x",
    "https://xn--fiqs8s.icom.museum/x", "https://xn--strae-oqa.example/", "https://[2001:db8::1]:8443/x", "https://[::ffff:192.0.2.1]/",
    "https://192.0.2.1:1/", "https://3.example/", "https://" + "a" * 63 + "/", "https://idp.example//x/../y",
)  # fmt: skip
# what URLs are made of, right and wrong
TOKENS = (
    *"[]:@/?#%.-_\\~!=|^`<>\" \t\x00\x7f", "//", "..", "::1", "v1.a", "fe80::1%25eth0", "a", "Z", "9", "xn--", "xn--a-ecp", "xn--fiqs8s",
    "a" * 63, "a" * 64, "443", "99999", "0", "65536", "٣", "user", "%41", "%zz", "999.1.1.1", "192.0.2.1", "1.2.3", "0x7f.1", "example",
    "é", "。", "\u200d", "\ud800", "keycloak_1:8080", "idp.example",
)  # fmt: skip
URLS = st.builds(
    lambda scheme, parts: scheme + "".join(parts),
    st.sampled_from(("https://", "http://", "HTTPS://", "https:", "", ISSUER, BACK)),
    st.lists(st.sampled_from(TOKENS) | st.text(max_size=3), max_size=8),
)


def read(backchannel: str | None = None, **changes: object) -> ProviderMetadata:
    return ProviderMetadata.parse(json.dumps(RIGHT | changes).encode(), ISSUER, backchannel)


@pytest.mark.attack("REL-41")
@pytest.mark.parametrize("backchannel", [None, BACK])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_what_no_client_takes_is_no_endpoint(endpoint: str, backchannel: str | None) -> None:
    for url in BAD_URLS:
        with pytest.raises(InvalidMetadata) as refused:
            read(backchannel, **{endpoint: url})
        assert refused.value.detail.startswith(f"{endpoint} "), url
        assert (
            url_fault(url) is not None or client_fault(url) is not None or url.startswith("file:")
        ), url


@pytest.mark.attack("REL-41")
@pytest.mark.parametrize(
    "endpoint",
    [
        "token_endpoint",
        "jwks_uri",
        "userinfo_endpoint",
        "revocation_endpoint",
        "introspection_endpoint",
    ],
)
def test_what_is_no_url_once_it_is_rewritten_is_no_endpoint(endpoint: str) -> None:
    for back in (
        "https://[x",
        "https://a:99999",
        "https://a:b",
        "https://a..b",
        "https://999.1.1.1",
    ):
        with pytest.raises(InvalidMetadata):
            read(back, **{endpoint: ISSUER + "/x"})


@pytest.mark.parametrize("url", GOOD)
def test_what_a_client_takes_is_an_endpoint(url: str) -> None:
    assert url_fault(url) is None and client_fault(url) is None
    assert read(token_endpoint=url).token_endpoint == url


@pytest.mark.parametrize("url", ["https://localhost", "https://[::1]:8443/x"])
def test_what_a_client_takes_on_loopback_is_an_endpoint_of_a_provider_there_alone(url: str) -> None:
    assert url_fault(url) is None and client_fault(url) is None
    with pytest.raises(InvalidMetadata):
        read(token_endpoint=url)
    here = "http://127.0.0.1:8080"
    assert read(here, token_endpoint=url).token_endpoint == url


@pytest.mark.attack("REL-41")
@given(
    st.lists(URLS, min_size=len(ENDPOINTS), max_size=len(ENDPOINTS)),
    st.sampled_from((None, BACK, ISSUER)),
)
def test_metadata_is_refused_or_httpx_takes_each_url_of_it(
    urls: list[str], backchannel: str | None
) -> None:
    document = RIGHT | dict(zip(ENDPOINTS, urls, strict=True))
    try:
        found = ProviderMetadata.parse(
            json.dumps(document).encode(), ISSUER, backchannel, client_fault
        )
    except InvalidMetadata:
        return
    for name in ENDPOINTS:
        url = getattr(found, name)
        assert url is None or client_fault(url) is None


@pytest.mark.attack("REL-41")
@given(URLS)
def test_what_the_core_lets_pass_httpx_refuses_for_its_idna_tables_alone(url: str) -> None:
    if url_fault(url) is None and client_fault(url) is not None:
        assert "xn--" in url.lower(), url


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | URLS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(
    (*RIGHT, "code_challenge_methods_supported", "authorization_response_iss_parameter_supported")
)


@pytest.mark.attack("REL-41")
@given(st.dictionaries(NAMES, VALUES, max_size=4), st.sampled_from((None, BACK)))
def test_no_document_raises_anything_but_invalid_metadata(
    changes: dict[str, object], backchannel: str | None
) -> None:
    with suppress(InvalidMetadata):
        read(backchannel, **changes)


@pytest.mark.attack("REL-41")
@pytest.mark.threat("foreign-input")
@given(st.binary(max_size=200), st.integers(0, 400), st.sampled_from((None, BACK)))
def test_no_bytes_raise_anything_but_invalid_metadata(
    data: bytes, at: int, backchannel: str | None
) -> None:
    whole = json.dumps(RIGHT).encode()
    for body in (data, whole[:at] + data + whole[at:], whole[:at] + data):
        with suppress(InvalidMetadata):
            ProviderMetadata.parse(body, ISSUER, backchannel)


@pytest.mark.parametrize("key", ["issuer", "backchannel_url"])
@pytest.mark.parametrize("url", [url for url in BAD_URLS if url.startswith("https:")])
def test_a_setting_that_no_client_can_call_says_so_by_its_key(key: str, url: str) -> None:
    given_settings = {"issuer": ISSUER, "client_id": "gateway"} | {key: url}
    with pytest.raises(ValidationError) as refused:
        ProviderSettings.model_validate(given_settings)
    assert f"{key} " in str(refused.value) and "is an address such as https://host" in str(
        refused.value
    ), url
