"""When a session's tokens are due to be renewed, and what becomes of it by the answer (OpenID
Connect Core section 12).

Pure values; relying_party/refresh.py carries it out.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from extproc.core.application import Application
from extproc.core.assertion import Header
from extproc.core.encoding import b64decode
from extproc.core.errors import InvalidIDToken
from extproc.core.oidc.claims import Claims, parse_object
from extproc.core.oidc.id_token import (
    IDToken,
    UserInfo,
    check_nonce,
    claims_of_userinfo,
    user_claims,
    verify_without_nonce,
)
from extproc.core.oidc.jose import KeySet
from extproc.core.oidc.token import RefreshResponse
from extproc.core.session import Session

AUTHORIZATION = "authorization"
# seconds at most, a tenth of the token's life: sessions that began together are not renewed
# together
SPREAD = 300
LEAST = 5  # seconds between two refreshes, whatever the provider calls an expiry
AHEAD = 60  # seconds by which the clocks of two processes may differ


def renewable(application: Application, session: Session) -> bool:
    """Whether its tokens can be renewed at all."""
    return application.refresh_margin is not None and session.refresh_token is not None


def due(application: Application, session: Session, now: int) -> bool:
    """Ahead of the access token's end: by the margin (at most half its life), and by a jitter that
    each session has for itself.

    Also when the clock was set back since the tokens came: nobody knows then how long they are
    good.
    """
    if application.refresh_margin is None or session.refresh_token is None:
        return False
    if now + AHEAD < session.access_issued:
        return True
    life = session.access_expires - session.access_issued
    margin = min(application.refresh_margin, life // 2)
    jitter = min(life // 10, SPREAD) * int.from_bytes(session.id.key[:2], "big") // 0xFFFF
    return now >= max(session.access_expires - margin - jitter, session.access_issued + LEAST)


def bearer(application: Application, session: Session, now: int) -> tuple[Header, ...]:
    """The access token for the application, while it is valid."""
    if not application.forward_access_token or now >= session.access_expires:
        return ()
    return ((AUTHORIZATION, f"Bearer {session.access_token}"),)


def carried_over(session: Session, answer: RefreshResponse) -> Session:
    """The session with nothing new but the refresh token: the old one may be worth nothing any
    more, the rest is not checked yet.

    It is the next generation: what is of the one before must not be renewed again.
    """
    token = answer.refresh_token or session.refresh_token
    return replace(session, refresh_token=token, generation=session.generation + 1)


def renewed(
    application: Application, session: Session, answer: RefreshResponse, keys: KeySet, now: int
) -> Session:
    """What the provider left out stays as it was; a claim that the new ID token does not repeat,
    too.

    Raises UnknownKey, InvalidIDToken: then nothing of the answer may be taken over.
    """
    kept = replace(
        carried_over(session, answer),
        access_token=answer.access_token,
        access_issued=now,
        access_expires=now + answer.expires_in,
        touched=max(session.touched, now),
    )
    if answer.id_token is None:
        return kept
    said = verify_without_nonce(application.client, answer.id_token, answer.access_token, keys, now)
    _check_same_login(session, said)
    return replace(
        kept,
        id_token=answer.id_token,
        claims=Claims({**session.claims.values, **user_claims(said)}),
        sid=said.sid or session.sid,
        # a later sign-in in the same session of the provider, for another application, is not this
        # session's
        auth_time=session.auth_time if session.auth_time is not None else said.auth_time,
        acr=said.acr or session.acr,
        amr=said.amr or session.amr,
    )


def looked_up(
    application: Application, session: Session, userinfo: UserInfo, keys: KeySet
) -> Session:
    """What UserInfo says over what was known; what it leaves out stays. Raises InvalidUserInfo,
    SubjectMismatch.
    """
    said = claims_of_userinfo(application.client, userinfo, session.subject, keys)
    return replace(session, claims=Claims({**session.claims.values, **said}))


def _check_same_login(session: Session, said: IDToken) -> None:
    """Section 12.2: the same user, signed in by the same login. Raises InvalidIDToken.

    auth_time MUST be that of the original login. Keycloak gives the last one of its own session: it
    moves when the user signs in again there for any application (max_age, prompt=login). That is no
    reason to sign anybody out; an earlier one is no login of this session.
    """
    if said.subject != session.subject:
        raise InvalidIDToken("subject", "sub is not the user who signed in")
    if (
        said.auth_time is not None
        and session.auth_time is not None
        and said.auth_time < session.auth_time
    ):
        raise InvalidIDToken("auth_time", "auth_time is before the login")
    before = _payload(session.id_token).get("nonce")
    if "nonce" in said.claims and isinstance(before, str):
        check_nonce(said, before)


def _payload(verified: str) -> Mapping[str, Any]:
    """The claims of an ID token of ours that was verified when it came."""
    try:
        return parse_object(b64decode(verified.split(".")[1]))
    except (IndexError, ValueError):
        return {}
