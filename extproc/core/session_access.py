"""What a session is admitted to: the facts of its user, and its identity assertion."""

from extproc.core.access import Rule
from extproc.core.access_conditions import Facts, Missing
from extproc.core.access_values import groups_of
from extproc.core.application import Application
from extproc.core.http import Cookie
from extproc.core.oidc.claims import number
from extproc.core.refresh import id_token_claims
from extproc.core.session import Session


def facts(application: Application, session: Session) -> Facts:
    """What the conditions of access see of a session's user."""
    return Facts(
        session.subject,
        session.issuer,
        session.claims,
        application.shows_email(session.claims),
        groups_of(session.claims.get(application.groups_claim)),
        session.acr,
        session.auth_time,
        _claims_at(session) if application.access.asks_claims_age else 0,
        application.client.clock_skew,
    )


def _claims_at(session: Session) -> int:
    """When the claims were received, as far as that is certain: when the ID token was issued. A
    refresh whose response has no ID token leaves the claims as old as they are.
    """
    issued = id_token_claims(session.id_token).get("iat")
    at = number(issued)
    return min(int(at), session.access_issued) if at is not None else 0


def missing(application: Application, session: Session, rule: Rule, now: int) -> Missing | None:
    """Why a rule refuses a session's user; None if it does not."""
    if not application.access.digest:
        return None
    return application.access.missing(rule, facts(application, session), now)


def audiences(application: Application, session: Session, now: int, until: int) -> tuple[str, ...]:
    """The audiences of an assertion of the session that ends at `until`, in seconds since the
    epoch.
    """
    if not application.access.digest:
        return (application.name,)
    return application.access.granted(facts(application, session), now, until)


def assertion(application: Application, session: Session, now: int) -> Cookie | None:
    """The cookie with a new identity assertion of the session, by which Envoy admits its next
    requests by itself; None if none may be issued.

    A rule whose conditions may fail by time before the assertion ends is not in it: the processor
    decides its requests.
    """
    ends = session.not_after(application, now)
    until = min(now + application.assertion_lifetime, ends)
    return application.assertion_cookie(
        session.id.handle,
        audiences(application, session, now, until),
        application.identity_headers(session.claims),
        now,
        ends,
        session.lasts(application, now),
        session.user(application),
    )
