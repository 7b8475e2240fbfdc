"""The request by which a browser ends the session at the provider."""

from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest
from harness.tokens import ISSUER, METADATA, WITH_GROUPS, application, session

from extproc.core.logout import MAX_URL, end_session_url


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


def test_cognito_gets_the_parameters_that_it_wants_and_no_others():
    url = urlsplit(end_session_url(application(end_session="logout_uri"), METADATA, SESSION, "st"))
    assert dict(parse_qsl(url.query)) == {
        "client_id": "gateway",
        "logout_uri": "https://app.example/oauth2/signed-out",
    }


def test_a_logout_stays_here_if_the_settings_say_so():
    assert end_session_url(application(end_session="off"), METADATA, SESSION, "st") is None
