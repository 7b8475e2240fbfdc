"""Establishing a session: each field from its one source, each check made."""

import pytest
from harness.tokens import (
    ISSUER,
    NOW,
    Signer,
    application,
    id_token_claims,
    key_set,
    pending,
    session,
)

from extproc.core.encoding import b64encode
from extproc.core.establish import establish
from extproc.core.oidc.claims import Claims
from extproc.core.oidc.id_token import UserInfo
from extproc.core.oidc.token import TokenResponse
from extproc.core.provider_errors import InvalidIDToken, SubjectMismatch
from extproc.core.refresh import looked_up
from extproc.core.session import Session, SessionId

BRIEF = application(session_lifetime=1000)
ID = SessionId.of(b"n" * 32)


def test_a_session_has_each_field_from_its_one_source():
    token = Signer().sign(
        id_token_claims(
            sid="the-sid",
            auth_time=NOW - 5,
            acr="gold",
            amr=["pwd", 7, "otp"],
            email=None,
            email_verified=None,
        )
    )
    userinfo = UserInfo("application/json", b'{"sub":"alice","name":"Alice"}')
    tokens = TokenResponse("the-access-token", token, "the-refresh-token", 250)
    assert establish(BRIEF, pending(), tokens, userinfo, key_set(), ID, NOW) == Session(
        id=ID,
        issuer=ISSUER,
        subject="alice",
        claims=Claims({"sub": "alice", "groups": ["admins", "dev"], "name": "Alice"}),
        id_token=token,
        access_token="the-access-token",
        refresh_token="the-refresh-token",
        access_expires=NOW + 250,
        created=NOW,
        expires=NOW + 1000,
        touched=NOW,
        sid="the-sid",
        auth_time=NOW - 5,
        acr="gold",
        access_issued=NOW,
        amr=("pwd", "otp"),
        attempt=pending().store_key,
    )


def test_no_session_comes_of_another_s_access_token_or_userinfo():
    token = Signer().sign(id_token_claims(at_hash=b64encode(b"of another one")))
    with pytest.raises(InvalidIDToken):
        establish(BRIEF, pending(), TokenResponse("at", token, None, 60), None, key_set(), ID, NOW)
    tokens = TokenResponse("at", Signer().sign(id_token_claims()), None, 60)
    with pytest.raises(SubjectMismatch):
        establish(
            BRIEF,
            pending(),
            tokens,
            UserInfo("application/json", b'{"sub":"bob"}'),
            key_set(),
            ID,
            NOW,
        )
    signed = UserInfo(
        "application/jwt",
        Signer().sign({"iss": ISSUER, "aud": "gateway", "sub": "alice", "name": "A"}).encode(),
    )
    assert establish(BRIEF, pending(), tokens, signed, key_set(), ID, NOW).claims.get("name") == "A"
    assert looked_up(BRIEF, session(), signed, key_set()).claims.get("name") == "A"
