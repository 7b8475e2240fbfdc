"""Decisions as values: what they print, and the kind of each step."""

import pytest
from harness.tokens import ISSUER, NOW, RING, SECRET, application, client, pending, request

from extproc.core import decisions
from extproc.core.cookies import Cookie
from extproc.core.decisions import Respond
from extproc.core.oidc.claims import Claims
from extproc.core.oidc.token import code_grant
from extproc.core.session import Session, SessionId


def test_secrets_are_not_printed():
    from extproc.core.session import SessionId

    asked = request("/oauth2/callback?code=the-code", cookie="c=the-cookie")
    answer = Respond(
        303, "x", location="/?id_token_hint=the-token", cookies=(Cookie("c", "the-cookie", True),)
    )
    assert not any(
        secret in repr([asked, answer]) for secret in ("the-code", "the-cookie", "the-token")
    )
    shown = repr(
        [
            RING,
            client(),
            pending(),
            SessionId.of(b"s" * 32),
            code_grant(client(), "the-code", pending()),
            application(),
        ]
    )
    for secret in (
        SECRET.decode(),
        "s3cret",
        "the-code",
        pending().code_verifier,
        SessionId.of(b"s" * 32).value,
    ):
        assert secret not in shown


SESSION = Session(
    SessionId.of(b"s" * 32), ISSUER, "alice", Claims({"sub": "alice", "email": "old@example.com"}), "no.token", "at", "rt",
    NOW + 300, NOW, NOW + 43_200, NOW,
)  # fmt: skip


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (decisions.StartLogin("/", ()), "login"),
        (decisions.RedeemCode(None, pending(), None), "callback"),
        (decisions.LoadSession(), "lookup"),
        (decisions.ListSessions(SESSION, stale=False), "lookup"),
        (decisions.Refresh(SESSION), "refresh"),
        (decisions.EndSession(SESSION, ()), "logout"),
        (decisions.EndListedSessions(SESSION, "all", ()), "logout"),
        (decisions.BackChannelLogout("t"), "provider_logout"),
        (decisions.FrontChannelLogout("sid", None, ()), "provider_logout"),
        (decisions.VerifyAccessToken("t", "main"), "bearer"),
    ],
)
def test_each_step_has_its_kind(step, kind):
    assert step.kind == kind
