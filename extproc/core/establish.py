"""Establishing a session: every check of a login's tokens and claims, and the session made of them
(OpenID Connect Core sections 3.1.3.7 and 5.3.2).
"""

from extproc.core.application import Application
from extproc.core.login import demand_of
from extproc.core.oidc.authorization import PendingAuthorization
from extproc.core.oidc.id_token import UserInfo, claims_of, verify_id_token
from extproc.core.oidc.jose import KeySet
from extproc.core.oidc.token import TokenResponse
from extproc.core.session import Session, SessionId


def establish(
    application: Application,
    pending: PendingAuthorization,
    tokens: TokenResponse,
    userinfo: UserInfo | None,
    keys: KeySet,
    session_id: SessionId,
    now: int,
) -> Session:
    """Check the tokens and claims of a login, and make a session of them.

    Args:
        application: the application that the user signs in to.
        pending: the authorization request that the login answers.
        tokens: the response of the token endpoint.
        userinfo: the UserInfo response, if the provider has been asked.
        keys: the provider's key set.
        session_id: a new id.
        now: seconds since the epoch.

    Raises:
        UnknownKey, WrongSignature, UnverifiedUserInfo: a newer key set may help.
        InvalidIDToken: the ID token fails a check.
        InvalidUserInfo: UserInfo cannot be read.
        SubjectMismatch: UserInfo is about another user.
        AcrNotSatisfied, AuthTimeTooOld: the login does not meet the application's demand.
    """
    client = application.client
    id_token = verify_id_token(
        client, tokens.id_token, tokens.access_token, pending.nonce, keys, now
    )
    demand = demand_of(application, pending)
    demand.check(id_token.acr, id_token.auth_time, now, client.clock_skew)
    return Session(
        id=session_id,
        issuer=client.issuer,
        subject=id_token.subject,
        claims=claims_of(client, id_token, userinfo, keys),
        id_token=tokens.id_token,
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        access_expires=now + tokens.expires_in,
        created=now,
        expires=now + application.session_lifetime,
        touched=now,
        sid=id_token.sid,
        auth_time=id_token.auth_time,
        acr=id_token.acr,
        access_issued=now,
        amr=id_token.amr,
        attempt=pending.store_key,
    )
