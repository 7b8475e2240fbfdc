"""Settings as values of the core."""

import json

import pytest

from extproc.settings.domain import applications, public_keys


@pytest.mark.parametrize(
    ("change", "per_user", "again"),
    [
        ({}, 100, False),
        ({"session": {"per_user": None}}, None, False),
        ({"store": {"kind": "cookie", "tombstones": {"path": "over"}}}, None, False),
        ({"session": {"per_user": 3}, "providers": {"main": {"userinfo": "refresh"}}}, 3, True),
    ],
)
def test_what_is_said_of_sessions_and_userinfo_reaches_the_core(read, change, per_user, again):
    settings = read(change)
    core = applications(settings, settings.key_ring())["app"]
    assert (core.sessions_per_user, core.userinfo_at_refresh) == (per_user, again)


def test_what_is_said_of_claims_reaches_the_core(read):
    said = {"userinfo": "never", "claims_at_refresh": "keep", "trust_email": True}
    change = {
        "providers": {"main": {**said, "trusted_audiences": ["456@proj"]}},
        "identity": {"max_header_bytes": 4096},
        "gateway": {"max_request_headers_kb": 32},
    }
    for settings, known in (
        (read({}), (True, False, False, frozenset(), None, 30_720)),
        (read(change), (False, True, True, {"456@proj"}, 4096, 16_384)),
    ):
        core = applications(settings, settings.key_ring())["app"]
        assert known == (
            core.userinfo_at_login,
            core.keeps_unrepeated,
            core.trust_email,
            core.client.trusted_audiences,
            core.max_header_bytes,
            core.header_room,
        )


def test_sessions_of_one_application_differ_and_all_remember_the_longest(read):
    wiki = {"hosts": ["localhost"], "path_prefix": "/wiki/", "upstream": "http://127.0.0.1:1"}
    own = {"provider": "main", "session": {"lifetime": "24h", "idle": 60, "logout": "local"}}
    settings = read({"applications": {"wiki": {**wiki, **own}}})
    core = applications(settings, settings.key_ring())
    app, wiki = core["app"], core["wiki"]
    assert (wiki.session_lifetime, wiki.session_idle) == (86_400, 60)
    assert (wiki.logout_everywhere, wiki.end_session) == (False, "off")
    assert (app.session_lifetime, app.session_idle) == (43_200, 3600)
    assert (app.logout_everywhere, app.end_session) == (True, "rp_initiated")
    assert app.remembered == wiki.remembered == 86_400
    assert app.times_of == wiki.times_of == {"app": (43_200, 3600), "wiki": (86_400, 60)}
    assert app.logout_revokes and not wiki.logout_revokes


def test_only_an_application_with_a_login_is_known_to_the_core(read):
    plain = {"hosts": ["plain"], "upstream": "http://127.0.0.1:1", "exclude": True}
    wiki = {"hosts": ["localhost"], "path_prefix": "/wiki/", "upstream": "http://127.0.0.1:1"}
    settings = read({"applications": {"plain": plain, "wiki": {**wiki, "provider": "main"}}})
    core = applications(settings, settings.key_ring())
    assert sorted(core) == ["app", "wiki"]
    assert core["wiki"].client.redirect_uri == "http://localhost:8080/wiki/oauth2/callback"
    assert core["app"].other_endpoints == ("/wiki/oauth2/",)


def test_an_application_that_needs_access_tokens_gets_no_assertion(read):
    settings = read({"applications": {"app": {"forward_access_token": True}}})
    core = applications(settings, settings.key_ring())["app"]
    assert (core.assertion_lifetime, core.forward_access_token) == (0, True)


def test_the_published_keys_are_those_of_the_ring(read):
    keys = json.loads(public_keys(read({"secret": ["a" * 32, "b" * 32]})))["keys"]
    assert len({key["kid"] for key in keys}) == 2
