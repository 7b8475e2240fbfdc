"""The request by which a browser ends the session at the provider."""

from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest
from harness.tokens import ISSUER, METADATA, WITH_GROUPS, application, request, session

from extproc.core.http import Request
from extproc.core.logout import (
    MAX_PAGE,
    MAX_URL,
    end_session_url,
    opened_page,
    page_after,
    sealed_page,
)
from extproc.core.sealing import ENTROPY, Label


def test_the_provider_s_own_query_stays_where_a_logout_is_asked_for():
    own = replace(METADATA, end_session_endpoint=f"{ISSUER}/logout?realm=x")
    assert end_session_url(application(), own, session(), "st").startswith(
        f"{ISSUER}/logout?realm=x&id_token_hint=idt&"
    )
    assert end_session_url(application(), METADATA, session(), "st").startswith(
        f"{ISSUER}/logout?id_token_hint=idt&"
    )


APP = application()
SESSION = WITH_GROUPS


def test_an_id_token_that_makes_the_address_too_long_is_left_out_and_the_client_stands_for_it():
    bare = len(end_session_url(APP, METADATA, session(id_token=""), "st"))
    fits = end_session_url(APP, METADATA, session(id_token="x" * (MAX_URL - bare)), "st")
    assert len(fits) == MAX_URL and "id_token_hint=x" in fits
    url = end_session_url(APP, METADATA, session(id_token="x" * (MAX_URL - bare + 1)), "st")
    assert dict(parse_qsl(urlsplit(url).query)) == {
        "client_id": "gateway",
        "post_logout_redirect_uri": "https://app.example/oauth2/signed-out",
        "state": "st",
    }


@pytest.mark.attack("LOGO-01")
def test_the_provider_s_logout_is_told_who_and_where_to():
    url = urlsplit(end_session_url(APP, METADATA, SESSION, "st"))
    assert url._replace(query="").geturl() == f"{ISSUER}/logout"
    assert dict(parse_qsl(url.query)) == {
        "id_token_hint": "idt",
        "client_id": "gateway",
        "post_logout_redirect_uri": "https://app.example/oauth2/signed-out",
        "state": "st",
    }
    assert end_session_url(APP, replace(METADATA, end_session_endpoint=None), SESSION, "st") is None


def test_the_state_of_a_page_counts_unless_the_id_token_would_have_to_go_for_it():
    def state(id_token: str) -> tuple[str, bool]:
        url = end_session_url(APP, METADATA, session(id_token=id_token), "st", "p" * 600)
        query = dict(parse_qsl(urlsplit(url).query))
        return query["state"], "id_token_hint" in query

    assert state("x" * 1000) == ("p" * 600, True)
    assert state("x" * 1500) == ("st", True)
    assert state("x" * 3000) == ("p" * 600, False)


def at_signed_out(state: str) -> Request:
    return request(f"/oauth2/signed-out?state={state}")


@pytest.mark.attack("REDI-06")
def test_a_page_goes_through_the_provider_sealed_and_comes_back():
    page = "/admin/x?a=1&b=%2F"
    state = sealed_page(APP, page, bytes(ENTROPY))
    assert "admin" not in state and opened_page(APP, at_signed_out(state)) == page
    other = application(name="other")
    for forged in (
        "",
        "/admin/",
        state[:-4],
        f"{state}&state={state}",
        "x" * 16_000,
        sealed_page(other, page, bytes(ENTROPY)),
        APP.ring.seal(page.encode(), Label("login", APP.name), bytes(ENTROPY)),
    ):
        assert opened_page(APP, at_signed_out(forged)) is None
    # What the settings make an endpoint in the meantime is no page.
    ends = sealed_page(APP, "/oauth2/logout", bytes(ENTROPY))
    assert opened_page(APP, at_signed_out(ends)) == "/"


@pytest.mark.attack("REDI-06")
@pytest.mark.parametrize(
    ("query", "page"),
    [
        ("return_to=/admin/x%3Fa%3D1", "/admin/x?a=1"),
        ("", ""),
        ("return_to=/a&return_to=/b", ""),
        ("return_to=https://evil.example/", "/"),
        ("return_to=//evil.example/", "/"),
        ("return_to=/oauth2/logout", "/"),
        (f"return_to=/{'a' * (MAX_PAGE - 1)}", f"/{'a' * (MAX_PAGE - 1)}"),
        (f"return_to=/{'a' * MAX_PAGE}", ""),
    ],
)
def test_a_logout_leads_back_to_pages_of_the_application_alone(query, page):
    assert page_after(APP, request(f"/oauth2/logout?{query}")) == page


def test_cognito_gets_the_parameters_that_it_wants_and_no_others():
    url = urlsplit(end_session_url(application(end_session="logout_uri"), METADATA, SESSION, "st"))
    assert dict(parse_qsl(url.query)) == {
        "client_id": "gateway",
        "logout_uri": "https://app.example/oauth2/signed-out",
    }


def test_a_logout_stays_here_if_the_settings_say_so():
    assert end_session_url(application(end_session="off"), METADATA, SESSION, "st") is None
