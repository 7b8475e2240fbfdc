"""Settings of a provider's access tokens."""

import pytest

RIGHT = {"client_id": "asks", "client_secret": "s"}


def tokens(**keys):
    return {"providers": {"main": {"access_tokens": keys}}}


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"signing_alg": "HS256"}, ".signing_alg: input should be 'RS256', 'RS384'"),
        ({"types": []}, ".types: Tuple should have at least 1 item"),
        ({"types": "at+jwt"}, ".types: input should be a valid array"),
        ({"types": ["application/at+jwt"]}, ": types is a list of values of typ, such as at+jwt"),
        ({"types": [""]}, ": types is a list of values of typ, such as at+jwt"),
        ({"types": ["at jwt"]}, ": types is a list of values of typ, such as at+jwt"),
        ({"types": ["Logout+JWT"]}, ": types: Logout+JWT is the type of another kind of token"),
        ({"types": ["dpop+jwt"]}, ": types: dpop+jwt is the type of another kind of token"),
        ({"types": ["at+jwt", "JWT"]}, ": types: JWT is the type of ID tokens as well, so it goes"),
        ({"types": ["jwt"]}, ": types: JWT is the type of ID tokens as well, so it goes"),
        ({"required_claims": {"token_use": []}}, ".required_claims.token_use: Tuple should have"),
        ({"required_claims": {"token_use": "access"}}, ".required_claims.token_use: input should"),
        ({"required_claims": {"iss": ["x"]}}, ": required_claims: iss is in ID tokens as well"),
        ({"required_claims": {"aud": ["x"]}}, ": required_claims: aud is in ID tokens as well"),
        ({"required_claims": {"": ["x"]}}, ": required_claims: an empty name is in ID tokens"),
        (
            {"required_claims": {"typ": ["Bearer", "ID"]}},
            ": required_claims.typ: ID is another kind",
        ),
        ({"required_claims": {"token_use": ["id"]}}, ": required_claims.token_use: id is another"),
        ({"scope_claim": ""}, ".scope_claim: String should have at least 1 character"),
        ({"introspection": {}}, ".introspection.client_id: is missing"),
        (
            {"introspection": {"client_id": "asks"}},
            ".introspection: client_secret or client_secret_file is needed: no provider may answer",
        ),
        (
            {"introspection": {**RIGHT, "client_secret_file": "x"}},
            ".introspection: client_secret or client_secret_file, not both",
        ),
        (
            {"introspection": {**RIGHT, "client_secret": ""}},
            ".introspection: client_secret is empty; enter the registered one",
        ),
        (
            {"introspection": {**RIGHT, "token_endpoint_auth_method": "none"}},
            ".introspection.token_endpoint_auth_method: input should be 'client_secret_basic' or",
        ),
    ],
)
def test_wrong_access_tokens_are_explained_in_one_line(fault, keys, what):
    line = fault(tokens(**keys))
    assert line.startswith(f": providers.main.access_tokens{what}"), line


def test_a_secret_of_compose_yaml_is_refused_off_loopback(fault):
    change = tokens(introspection={**RIGHT, "client_secret": "demo-only-asks"})
    change["applications"] = {"app": {"hosts": ["app.example"], "url": "https://app.example/"}}
    assert fault(change).startswith(
        ": providers.main.access_tokens.introspection.client_secret is the one of compose.yaml"
    )


def test_without_a_word_access_tokens_are_those_of_rfc_9068(read):
    settings = read().providers["main"].access_tokens
    assert (settings.types, settings.required_claims, settings.scope_claim) == (
        ("at+jwt",),
        {},
        "scope",
    )
    assert settings.signing_alg is None and settings.introspection is None


@pytest.mark.parametrize(
    ("more", "method"),
    [({}, "client_secret_basic"), ({"token_endpoint_auth_method": "client_secret_post"}, None)],
)
def test_the_introspecting_client_has_credentials_of_its_own(tmp_path, read, more, method):
    (tmp_path / "secret").write_text("s3cret\n")
    asking = {"client_id": "asks", "client_secret_file": str(tmp_path / "secret"), **more}
    settings = read(tokens(introspection=asking)).providers["main"].access_tokens.introspection
    credentials = settings.credentials()
    assert (credentials.client_id, credentials.client_secret) == ("asks", "s3cret")
    assert credentials.auth_method == (method or "client_secret_post")
