"""The log names each header that is left out, once."""

import logging

from harness.tokens import application, session

from extproc.core.oidc.claims import Claims
from extproc.relying_party.identity_log import log_omissions

APP = application()
ELSEWHERE = session(claims=Claims({"sub": "alice", "_claim_names": {"groups": "s"}}))
UNVERIFIED = session(claims=Claims({"sub": "alice", "email": "a@example.com"}))


def test_a_login_is_logged_and_of_a_renewal_only_what_is_new(caplog) -> None:
    caplog.set_level(logging.INFO)
    for now, before, logged in (
        (ELSEWHERE, None, [(logging.WARNING, "x-auth-groups", "groups")]),
        (ELSEWHERE, ELSEWHERE, []),
        (UNVERIFIED, ELSEWHERE, [(logging.INFO, "x-auth-email", "email")]),
        (session(), ELSEWHERE, []),
    ):
        caplog.clear()
        log_omissions(APP, now, before)
        found = [(line.levelno, line.header, line.claim) for line in caplog.records]
        assert found == logged
        assert all(line.getMessage() == "header_left_out" for line in caplog.records)
