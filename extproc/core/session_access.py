"""What a session is admitted to: the facts of its user, and its identity assertion."""

from extproc.core.access_conditions import Facts, Missing
from extproc.core.access_rules import Rule
from extproc.core.access_values import email_address, groups_of
from extproc.core.application import Application
from extproc.core.cookies import Cookie
from extproc.core.oidc.claims import Claims, number
from extproc.core.refresh import id_token_claims
from extproc.core.session import Session


def facts(application: Application, session: Session) -> Facts:
    """What the conditions of access see of a session's user."""
    return Facts(
        session.subject,
        session.issuer,
        session.claims,
        _address(application, session),
        application.shows_email(session.claims),
        groups_of(session.claims.get(application.groups_claim)),
        session.acr,
        session.auth_time,
        _claims_at(application, session) if application.access.asks_claims_age else 0,
        application.client.clock_skew,
        holding=application.access.holding(session.claims),
    )


def _address(application: Application, session: Session) -> tuple[str, str] | None:
    if not application.access.asks_email:
        return None
    return email_address(session.claims.values.get("email"))


def _claims_at(application: Application, session: Session) -> int:
    """When the claims that conditions are about were received, as far as that is certain.

    Those of a login came with it. A refresh brings the claims of its ID token, which was issued at
    `iat`; those that only UserInfo names stay as old as the session.
    """
    if session.generation == 0:
        return session.created
    token = Claims(id_token_claims(session.id_token))
    asked = application.access.aging_claims(application.groups_claim)
    if any(session.claims.get(claim) is not None and token.get(claim) is None for claim in asked):
        return session.created
    at = number(token.values.get("iat"))
    return min(int(at), session.access_issued) if at is not None else session.created


def known_of(application: Application, session: Session | None) -> Facts | None:
    """The facts of a session's user, for the functions of this module, so that one request takes
    them once; None where no condition needs them.
    """
    return facts(application, session) if session and application.access.digest else None


def missing(
    application: Application, session: Session, rule: Rule, now: int, known: Facts | None = None
) -> Missing | None:
    """Why a rule refuses a session's user; None if it does not.

    known: the facts of the user, if they were taken already.
    """
    if not application.access.digest:
        return None
    return application.access.missing(rule, known or facts(application, session), now)


def audiences(
    application: Application, session: Session, now: int, until: int, known: Facts | None = None
) -> tuple[str, ...]:
    """The audiences of an assertion of the session that ends at `until`, in seconds since the
    epoch.

    known: the facts of the user, if they were taken already.
    """
    if not application.access.digest:
        return (application.name,)
    return application.access.granted(known or facts(application, session), now, until)


def assertion(
    application: Application, session: Session, now: int, known: Facts | None = None
) -> Cookie | None:
    """The cookie with a new identity assertion of the session, by which Envoy admits its next
    requests by itself; None if none may be issued.

    A rule whose conditions may fail by time before the assertion ends is not in it: the processor
    decides its requests.

    known: the facts of the user, if they were taken already.
    """
    ends = session.not_after(application, now)
    until = min(now + application.assertion_lifetime, ends)
    return application.assertion_cookie(
        session.id.handle,
        audiences(application, session, now, until, known),
        application.identity_headers(session.claims),
        now,
        ends,
        session.lasts(application, now),
        session.user(application),
    )
