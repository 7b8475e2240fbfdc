"""The log of a stream: its levels, its numbers, and what a flood of refusals leaves of it."""

import json
import logging

import pytest
import trio

from extproc.core.decisions import Continue, Respond, StepKind
from extproc.ext_proc.stream_log import REFUSALS, WINDOW, RateLimitedLog, StreamLog
from extproc.telemetry.log_format import JSONLines

RECORD = logging.LogRecord("extproc", logging.INFO, "", 0, "an event", (), None)


def test_a_flood_of_one_reason_is_counted_and_hides_no_other():
    now = [100.0]
    limited = RateLimitedLog(lambda: now[0])
    assert [limited.passes("state_mismatch") for _ in range(REFUSALS + 5)] == [0] * REFUSALS + [
        None
    ] * 5
    assert limited.passes("invalid_callback") == 0
    now[0] += WINDOW
    assert limited.passes("state_mismatch") == 5 and limited.passes("state_mismatch") == 0


@pytest.fixture
def lines(caplog):
    """The lines written at INFO, as (event, reason)."""
    caplog.set_level(logging.INFO, "extproc")
    return lambda: [
        (each.getMessage(), each.levelname, getattr(each, "reason", None))
        for each in caplog.records
    ]


def test_at_info_what_a_person_met_is_there_and_what_strangers_cause_is_not(lines):
    log = StreamLog(1, RateLimitedLog())
    log.held(StepKind.CALLBACK, "main")
    for answer in (
        Continue("session"),
        Respond(303, "login_started"),
        Respond(401, "login_required"),
        Respond(421, "misdirected_request"),
        Respond(303, "signed_in"),
        Respond(400, "state_mismatch"),
        Respond(502, "provider_failed"),
        Respond(500, "internal_error"),
    ):
        log.answered(answer)
    log.ended("cancelled", "cancelled")
    assert lines() == [
        ("answered", "INFO", "signed_in"),
        ("answered", "INFO", "state_mismatch"),
        ("answered", "WARNING", "provider_failed"),
        ("answered", "ERROR", "internal_error"),
        ("cancelled", "INFO", "cancelled"),
    ]


def test_logins_are_never_left_out_and_a_flood_of_refusals_is(lines):
    log = StreamLog(1, RateLimitedLog(lambda: 1.0))
    for _ in range(3 * REFUSALS):
        log.answered(Respond(303, "signed_in"))
        log.answered(Respond(400, "state_mismatch"))
    reasons = [reason for _, _, reason in lines()]
    assert (reasons.count("signed_in"), reasons.count("state_mismatch")) == (3 * REFUSALS, REFUSALS)


def test_a_flood_of_streams_that_end_without_an_answer_is_left_out_too(lines):
    log = StreamLog(1, RateLimitedLog(lambda: 1.0))
    for _ in range(3 * REFUSALS):
        log.ended("aborted", "body_missing")
    assert lines() == [("aborted", "INFO", "body_missing")] * REFUSALS


async def test_every_line_of_a_stream_has_its_number():
    told = []

    async def one(number):
        StreamLog(number, RateLimitedLog())
        await trio.sleep(0)
        told.append((number, json.loads(JSONLines().format(RECORD))["stream"]))

    async with trio.open_nursery() as nursery:
        for number in (7, 8):
            nursery.start_soon(one, number)
    assert sorted(told) == [(7, 7), (8, 8)]


def test_a_held_stream_says_what_it_waits_for_and_at_its_end_how_long_it_took(caplog):
    caplog.set_level(logging.DEBUG, "extproc")
    log = StreamLog(1, RateLimitedLog())
    log.application = "app"
    log.held(StepKind.REFRESH, "main")
    log.answered(Continue("session"))
    held, answered = caplog.records
    for line in (held, answered):
        assert (line.lane, line.step, line.provider) == ("held", "refresh", "main")
        assert line.application == "app"
    assert not hasattr(held, "duration_ms") and answered.duration_ms >= 0


def test_an_answer_that_is_in_no_table_is_logged_by_its_status(caplog):
    caplog.set_level(logging.DEBUG, "extproc")
    log = StreamLog(1, RateLimitedLog())
    for answer in (Continue("odd"), Respond(400, "odd"), Respond(500, "odd")):
        log.answered(answer)
    assert [line.levelname for line in caplog.records] == ["DEBUG", "INFO", "WARNING"]


def test_at_debug_no_line_is_left_out(caplog):
    caplog.set_level(logging.DEBUG, "extproc")
    log = StreamLog(1, RateLimitedLog(lambda: 1.0))
    for _ in range(2 * REFUSALS):
        log.answered(Respond(400, "state_mismatch"))
    assert len(caplog.records) == 2 * REFUSALS
