"""The limit of sessions per user: the oldest end when a login makes one too many."""

import logging

from extproc import telemetry
from extproc.core.application import Application
from extproc.core.errors import StoreUnavailable
from extproc.core.session import Session
from extproc.core.session_index import subject_tags
from extproc.core.session_list import surplus
from extproc.sessions.interfaces import Sessions

# Sessions that one login ends at most, because the user waits for it.
ENDED_AT_ONCE = 1000


async def end_surplus(
    sessions: Sessions, application: Application, session: Session, now: int
) -> None:
    """End the user's oldest sessions beyond the number that the application allows.

    A failure is logged; the user's next login tries again.
    """
    if application.sessions_per_user is None:
        return
    try:
        tags = subject_tags(application.ring, session.issuer, session.subject)
        # Of more sessions than a list has, the next login ends the rest.
        records = await sessions.tagged(tags, now) or ()
        oldest = surplus(application, session.subject, records, now)[:ENDED_AT_ONCE]
        await sessions.delete_many(oldest)
    except StoreUnavailable as error:
        telemetry.log(
            logging.WARNING, "surplus_not_ended", reason=error.reason, detail=error.detail
        )
        return
    if oldest:
        ended = len(oldest)
        telemetry.log(logging.INFO, "surplus_ended", application=application.name, ended=ended)
