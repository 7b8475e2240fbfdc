"""What the sessions of a browser's other logins mean for a login of that browser that ends.

A browser that restores its tabs begins many logins, and their answers cross each other: a callback
may come after another login has made a session, and before the browser has received that session's
cookies. All of them are to leave one session, whichever answer the browser receives last. So a
login that finds the session of a sibling gives the browser that session, and makes none.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from extproc.core.application import Application
from extproc.core.login import demand_of
from extproc.core.oidc.authorization import PendingAuthorization
from extproc.core.refresh import serves
from extproc.core.session import Session

# Milliseconds for which the answer to a callback may be on its way. A sibling's session that is
# older than a login by more than that has never reached the browser: its login was a separate one.
ON_ITS_WAY = 60_000


@dataclass(frozen=True, slots=True)
class Siblings:
    """The sessions that a login finds in the place of its own.

    Attributes:
        standing: the session that the browser is to have; the login makes none.
        overtaken: whether a later callback of the browser has made a session for another user, so
            that this login makes none.
        ended: sessions of earlier callbacks, in whose place that of this login comes.
    """

    standing: Session | None = None
    overtaken: bool = False
    ended: tuple[Session, ...] = ()


def compared(
    application: Application,
    login: PendingAuthorization,
    session: Session,
    siblings: Iterable[Session],
    held: Session | None,
    now: int,
) -> Siblings:
    """Compare the session that a login would make with those that the browser has by then.

    Args:
        application: that the user signs in to.
        login: the login that ends.
        session: what it would make.
        siblings: the sessions of other logins, whose answers the browser had not received.
        held: the session whose cookies the browser has.
        now: seconds since the epoch.
    """
    found = tuple(sibling for sibling in siblings if sibling.id != session.id)
    candidates = [one for one in found if one.begun >= login.begun - ON_ITS_WAY]
    if held is not None and held.begun >= login.begun:
        candidates.append(held)
    demand = demand_of(application, login)
    skew = application.client.clock_skew
    standing = [
        one
        for one in candidates
        if _stands(application, one, session, now) and demand.met(one.acr, one.auth_time, now, skew)
    ]
    if standing:
        return Siblings(standing=max(standing, key=_order))
    later = any(_order(one) > _order(session) for one in found)
    return Siblings(overtaken=later, ended=() if later else found)


def _stands(application: Application, found: Session, session: Session, now: int) -> bool:
    """Whether a session is of the same sign-in at the provider, and good for the application.

    A provider whose `sid` differs has begun another session of its own in between, and a logout of
    that one has to find the session here.
    """
    same = (found.issuer, found.subject, found.sid) == (
        session.issuer,
        session.subject,
        session.sid,
    )
    return same and found.fresh(application, now) and serves(application, found, now)


def _order(session: Session) -> tuple[int, bytes]:
    """Sort key by the time of the callback; no two sessions have the same."""
    return session.begun, session.id.key
