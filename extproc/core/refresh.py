"""Token refresh: when a session's tokens are due, and the session after the provider's response
(OpenID Connect Core section 12).

relying_party/refresh.py carries it out.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from extproc.core.application import Application
from extproc.core.assertion import Header
from extproc.core.encoding import b64decode
from extproc.core.http import AUTHORIZATION
from extproc.core.oidc.claims import Claims, overlaid, parse_object
from extproc.core.oidc.id_token import (
    IDToken,
    UserInfo,
    about_user,
    check_nonce,
    claims_of_userinfo,
    user_claims,
    verify_without_nonce,
)
from extproc.core.oidc.jose import KeySet
from extproc.core.oidc.token import RefreshResponse
from extproc.core.provider_errors import InvalidIDToken
from extproc.core.session import Session

# seconds: the largest jitter, so that sessions which began together are not renewed together
SPREAD = 300
# seconds between two refreshes of a session, however short the tokens live
LEAST = 5
# seconds by which the clocks of two processes may differ
AHEAD = 60


def renewable(application: Application, session: Session) -> bool:
    """Whether the session's tokens can be renewed at all."""
    return application.refresh_margin is not None and session.refresh_token is not None


def serves(application: Application, session: Session, now: int) -> bool:
    """Whether a session within its life would serve a request for a page of the application."""
    if not session.sufficient(application, now):
        return False
    forwards = application.forward_access_token
    return not forwards or now < session.access_expires or renewable(application, session)


def due(application: Application, session: Session, now: int) -> bool:
    """Whether the session's tokens are to be renewed now.

    They are renewed before the access token ends: by the application's margin, at most half the
    token's life, and by a jitter of the session, at most a tenth of the token's life. They are also
    due if the clock has been set back since they were received, because then it is unknown how long
    they are valid.
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
    """The header with the access token, if the application gets it and the token is valid."""
    if not application.forward_access_token or now >= session.access_expires:
        return ()
    return ((AUTHORIZATION, f"Bearer {session.access_token}"),)


def carried_over(session: Session, refresh_token: str | None) -> Session:
    """The session with only the new refresh token, if there is one: the old one may be invalid by
    now, and the rest of the response is not checked yet.

    It is the next generation, so that the tokens of the previous one are not renewed again.
    """
    token = refresh_token or session.refresh_token
    return replace(session, refresh_token=token, generation=session.generation + 1)


def renewed(
    application: Application, session: Session, response: RefreshResponse, keys: KeySet, now: int
) -> Session:
    """The session with everything that the response renews.

    What the response leaves out stays as it was, but for claims: those of the previous ID token
    are gone unless the new one has them too (Application.keeps_unrepeated).

    Args:
        application: the application of the session.
        session: the session before the refresh.
        response: the response of the token endpoint.
        keys: the provider's key set.
        now: seconds since the epoch.

    Raises:
        UnknownKey, WrongSignature: a newer key set may help.
        InvalidIDToken: the ID token fails a check; nothing of the response may be used.
    """
    kept = replace(
        carried_over(session, response.refresh_token),
        access_token=response.access_token,
        access_issued=now,
        access_expires=now + response.expires_in,
        touched=max(session.touched, now),
    )
    if response.id_token is None:
        return kept
    id_token = verify_without_nonce(
        application.client, response.id_token, response.access_token, keys, now
    )
    _check_same_login(session, id_token)
    return replace(
        kept,
        id_token=response.id_token,
        claims=_claims(application, session, id_token),
        # The provider's logout token names the session of the login.
        sid=session.sid or id_token.sid,
        **_authentication(application, session, id_token),
    )


def _authentication(
    application: Application, session: Session, id_token: IDToken
) -> dict[str, Any]:
    """How the user signed in, after a refresh: acr and amr.

    Some providers report the user's latest authentication for any application. A session whose
    login did not meet a demand does not come to meet it by that: the user, or a thief of the
    session, has not signed in here again.
    """
    acr = id_token.acr or session.acr
    demands = (application.demand.acr_values, *application.access.acr_demands)
    if any(acr in values and session.acr not in values for values in demands):
        return {"acr": session.acr, "amr": session.amr}
    return {"acr": acr, "amr": id_token.amr or session.amr}


def _claims(application: Application, session: Session, id_token: IDToken) -> Claims:
    """The session's claims after a refresh.

    A claim that the previous ID token had, and that the new one lacks, is gone: mostly it is a
    group that was taken away from the user. Claims that only UserInfo has stay; so does its
    confirmation of an address that the new ID token names as well.
    """
    known, newer = session.claims.values, user_claims(id_token)
    if not application.keeps_unrepeated:
        previous = set(id_token_claims(session.id_token))
        if newer.get("email") == known.get("email"):
            previous.discard("email")
        elif "email" in previous:
            previous.add("email_verified")
        known = {name: value for name, value in known.items() if name not in previous}
    return Claims(overlaid(known, newer))


def looked_up(
    application: Application, session: Session, userinfo: UserInfo, keys: KeySet
) -> Session:
    """The session with the claims of its ID token and of UserInfo. Claims that earlier UserInfo
    had, and that this one lacks, are gone (Application.keeps_unrepeated).

    Raises InvalidUserInfo, SubjectMismatch.
    """
    newer = claims_of_userinfo(application.client, userinfo, session.subject, keys)
    known = session.claims.values
    if not application.keeps_unrepeated:
        known = about_user(id_token_claims(session.id_token))
    return replace(session, claims=Claims(overlaid(known, newer)))


def _check_same_login(session: Session, id_token: IDToken) -> None:
    """Check that an ID token is about the session's user and login (section 12.2). Raises
    InvalidIDToken.

    By the specification auth_time MUST be that of the original login. Keycloak sends the last
    auth_time of its own session, which changes when the user authenticates again for any
    application (max_age, prompt=login). So a later time is accepted, but the session keeps the
    time of its login, or none. An earlier time cannot be of this session.
    """
    if id_token.subject != session.subject:
        raise InvalidIDToken("subject", "sub is not the user who signed in")
    if (
        id_token.auth_time is not None
        and session.auth_time is not None
        and id_token.auth_time < session.auth_time
    ):
        raise InvalidIDToken("auth_time", "auth_time is before the login")
    nonce = id_token_claims(session.id_token).get("nonce")
    if "nonce" in id_token.claims and isinstance(nonce, str):
        check_nonce(id_token, nonce)


def id_token_claims(verified: str) -> Mapping[str, Any]:
    """The claims of a session's ID token, which was verified when it was received."""
    try:
        return parse_object(b64decode(verified.split(".")[1]))
    except (IndexError, ValueError):
        return {}
