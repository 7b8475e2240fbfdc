"""The log of identity headers that an application does not get."""

import logging

from extproc import telemetry
from extproc.core.application import Application
from extproc.core.identity import omissions
from extproc.core.session import Session


def log_omissions(
    application: Application, session: Session, before: Session | None = None
) -> None:
    """Log the identity headers that are left out, at the login or since an earlier state.

    Args:
        application: The session's application.
        session: The session as it is now.
        before: The session before its renewal; None: it is new.
    """
    known = omissions(application, before.claims) if before is not None else ()
    for omission in omissions(application, session.claims):
        if omission not in known:
            telemetry.log(
                logging.WARNING if omission.is_fault else logging.INFO,
                "header_left_out",
                application=application.name,
                header=omission.header,
                claim=omission.claim,
                detail=omission.detail,
            )
