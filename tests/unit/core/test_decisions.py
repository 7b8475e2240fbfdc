"""Decisions as values."""

from harness.tokens import RING, SECRET, application, client, pending, request

from extproc.core.decisions import Respond
from extproc.core.http import Cookie
from extproc.core.oidc.token import code_grant


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
