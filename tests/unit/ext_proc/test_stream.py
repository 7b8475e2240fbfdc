"""One ext_proc stream: whatever a peer does, each phase gets exactly one answer or the stream ends
with an error. On both bridges.
"""

import asyncio
import logging

import grpc
import pytest
import trio
from harness.memory_peers import MemoryProvider, MemoryStore
from harness.serving import NAVIGATION, ROUTE, head, until
from harness.tokens import ISSUER, NOW, Signer, application

from extproc._wire import ext_proc_pb2 as wire
from extproc.contract import (
    APPLICATION,
    CONTINUE,
    COOKIES,
    DECISION,
    LIVE,
    NAMESPACE,
    PUBLIC,
    REASON,
)
from extproc.core.decisions import StepKind
from extproc.core.device import Device
from extproc.core.errors import ProviderUnavailable, StoreUnavailable
from extproc.core.oidc.claims import Claims
from extproc.core.oidc.logout_token import EVENT
from extproc.core.sealing import ENTROPY
from extproc.core.session import Session, SessionId
from extproc.core.session_record import to_record
from extproc.ext_proc.immediate_response import GRPC_UNAUTHENTICATED
from extproc.metrics import Metrics
from extproc.settings import Limits

APP = application(refresh_margin=30)
DUE = Session(
    SessionId.of(b"s" * 32), ISSUER, "alice", Claims({"sub": "alice"}), "idt", "at", "rt0", NOW - 1, NOW - 400, NOW + 9_000, NOW
)  # fmt: skip
UNKNOWN = {COOKIES: f"{APP.cookies.session}={SessionId.of(b'a' * 32).cookie}"}
SIGNED_IN = {COOKIES: f"{APP.cookies.session}={DUE.id.cookie}"}


def raising(error):
    """What a peer does from now on: it raises before it has done anything."""

    def met(operation, when):
        raise error

    return met


def away():
    """A provider whose metadata cannot be fetched."""
    provider = MemoryProvider()
    provider.known = False
    provider.met = raising(ProviderUnavailable("away"))
    return provider


def remote(error=None):
    """A store that answers only in the held lane, or fails there."""
    store = MemoryStore()
    store.remote = True
    if error is not None:
        store.met = raising(error)
    return store


def hanging(peer):
    """The peer, which does nothing until `opens` lets it."""
    peer.known = False
    peer.open = trio.Event()
    return peer


async def opens(edge, peer):
    async def let():
        peer.open.set()

    await edge.bridge.run(let)


def said(answer, key):
    """A value of the answer's dynamic metadata."""
    return answer.dynamic_metadata.fields[NAMESPACE].struct_value.fields[key].string_value


def headers_of(answer):
    sent = answer.immediate_response.headers.set_headers
    return {option.header.key: option.header.raw_value.decode() for option in sent}


# -- answers on the event loop ---------------------------------------------------------------------


@pytest.mark.attack("EXTP-12")
def test_a_navigation_gets_one_redirect(serving):
    async def test(edge):
        (answer,) = await edge.call(head(**NAVIGATION))
        sent = {
            option.header.key: option.header.raw_value.decode()
            for option in answer.immediate_response.headers.set_headers
        }
        assert answer.immediate_response.status.code == 303 and sent["location"].startswith(
            "https://idp.example/auth?"
        )
        assert all(
            not option.header.value for option in answer.immediate_response.headers.set_headers
        )

    serving(test)


@pytest.mark.attack("EXTP-07")
@pytest.mark.threat("undecided")
@pytest.mark.parametrize(
    "message",
    [
        wire.ProcessingRequest(),
        wire.ProcessingRequest(request_body=wire.HttpBody(body=b"x")),
        wire.ProcessingRequest(response_headers=wire.HttpHeaders()),
        wire.ProcessingRequest(request_trailers=wire.HttpTrailers()),
        b"\xff\xff\xff",
        b"\x12\x7f",
    ],
)
def test_what_was_not_asked_for_is_aborted_and_others_are_served(serving, message):
    async def test(edge):
        await edge.aborted(message)
        assert len(await edge.call(head())) == 1

    serving(test)


def response_head(status: str) -> wire.ProcessingRequest:
    message = wire.ProcessingRequest()
    header = message.response_headers.headers.headers.add()
    header.key, header.raw_value = ":status", status.encode()
    return message


LIVE_ROUTE = ((APPLICATION, "app"), (LIVE, "1"))


@pytest.mark.parametrize("status", ["403", "429"])
def test_what_a_filter_before_the_processor_refuses_on_a_live_route_stays_as_it_is(serving, status):
    async def test(edge):
        answers = await edge.call(response_head(status), metadata=LIVE_ROUTE)
        assert [answer.WhichOneof("response") for answer in answers] == ["response_headers"]

    serving(test)


@pytest.mark.threat("undecided")
@pytest.mark.parametrize(
    ("status", "metadata"),
    [("200", LIVE_ROUTE), ("401", LIVE_ROUTE), ("503", LIVE_ROUTE), ("403", ROUTE)],
)
def test_a_response_to_a_request_that_the_processor_never_saw_is_aborted(serving, status, metadata):
    async def test(edge):
        await edge.aborted(response_head(status), metadata=metadata)

    serving(test)


@pytest.mark.attack("EXTP-16")
def test_observability_mode_is_refused(serving):
    message = head(**NAVIGATION)
    message.observability_mode = True

    async def test(edge):
        await edge.aborted(message)

    serving(test)


def test_a_stream_that_names_no_application_is_aborted_and_an_unknown_one_refused(serving):
    async def test(edge):
        await edge.aborted(head(), metadata=())
        (answer,) = await edge.call(head(**NAVIGATION), metadata=((APPLICATION, "other"),))
        assert answer.immediate_response.status.code == 421

    serving(test)


def test_a_public_path_is_a_written_decision(serving):
    async def test(edge):
        (answer,) = await edge.call(
            head(), metadata=((APPLICATION, "app"), ("x-extproc-public", "1"))
        )
        assert answer.WhichOneof("response") == "request_headers"
        assert (
            answer.dynamic_metadata.fields[NAMESPACE].struct_value.fields[DECISION].string_value
            == CONTINUE
        )
        # a header of the request that only looks like the route's word says nothing
        (answer,) = await edge.call(head(x_extproc_public="1"))
        assert answer.immediate_response.status.code == 401

    serving(test)


@pytest.mark.attack("HDR-06")
def test_any_bytes_in_headers_are_read(serving):
    async def test(edge):
        (answer,) = await edge.call(
            head(
                path=b"/\xff\x80?\xfe",
                cookie=b"\xff=\x80; __Host-extproc-session-app=\xff",
                accept=b"\xfftext/html",
                sec_fetch_mode="navigate",
            )
        )
        assert answer.immediate_response.status.code == 303

    serving(test)


@pytest.mark.attack("REDI-10")
def test_grpc_is_told_in_its_own_words(serving):
    async def test(edge):
        (answer,) = await edge.call(head(method="POST", content_type="application/grpc+proto"))
        assert (
            answer.immediate_response.status.code,
            answer.immediate_response.grpc_status.status,
        ) == (
            401,
            GRPC_UNAUTHENTICATED,
        )

    serving(test)


# -- the body --------------------------------------------------------------------------------------


def logout_request(**more):
    return head(
        "/oauth2/backchannel-logout",
        "POST",
        content_type="application/x-www-form-urlencoded",
        **more,
    )


def body(content: bytes = b"logout_token=x", **said):
    return wire.ProcessingRequest(
        request_body=wire.HttpBody(body=content, end_of_stream=True, **said)
    )


@pytest.mark.attack("LOGO-05")
@pytest.mark.parametrize(
    ("content", "status", "reason"),
    [
        (b"logout_token=%(token)s", 503, "provider_unavailable"),
        (b"logout_token=x", 400, "logout_token_malformed"),
        (b"other=x", 400, "invalid_logout_request"),
        (b"logout_token=" + b"x" * 100_000, 413, "body_too_large"),
        (b"logout_token=" + b"x" * 2_000_000, 413, "body_too_large"),
    ],
)
def test_the_body_is_a_phase_of_its_own_with_one_answer(serving, content, status, reason):
    now = NOW
    claims = {
        "iss": ISSUER,
        "aud": "gateway",
        "iat": now,
        "exp": now + 600,
        "jti": "1",
        "sid": "s1",
    }
    token = Signer().sign({**claims, "events": {EVENT: {}}})
    content = content.replace(b"%(token)s", token.encode())

    async def test(edge):
        asked, *more = await edge.call(logout_request(), body(content), half_close=False)
        # nothing is decided yet: without a word of ours the gate would let nothing through
        assert (
            asked.WhichOneof("response") == "request_headers" and not asked.dynamic_metadata.fields
        )
        assert not asked.request_headers.response.HasField("header_mutation")
        answer = more[-1].immediate_response
        assert (answer.status.code, answer.details) == (status, reason)
        assert [m.HasField("override_message_timeout") for m in more] == (
            [True, False] if status == 503 else [False]
        )

    serving(test, provider=away())


def test_a_request_without_a_body_is_answered_at_once(serving):
    message = logout_request()
    message.request_headers.end_of_stream = True

    async def test(edge):
        (answer,) = await edge.call(message, half_close=False)
        assert answer.immediate_response.status.code == 400
        sent = {
            o.header.key: o.header.raw_value for o in answer.immediate_response.headers.set_headers
        }
        assert sent["cache-control"] == b"no-store" and sent["content-type"] == b"application/json"

    serving(test)


@pytest.mark.attack("EXTP-07")
@pytest.mark.parametrize(
    "instead",
    [
        [],
        [wire.ProcessingRequest()],
        [logout_request()],
        [wire.ProcessingRequest(request_trailers=wire.HttpTrailers())],
        [wire.ProcessingRequest(response_body=wire.HttpBody(body=b"logout_token=x"))],
        [b"\xff\xff\xff"],
    ],
)
def test_what_comes_in_place_of_the_body_aborts_the_stream(serving, instead):
    async def test(edge):
        await edge.aborted(logout_request(), *instead)
        assert len(await edge.call(head())) == 1

    serving(test)


@pytest.mark.attack("REL-35")
def test_the_body_that_is_awaited_longest_makes_room_for_the_newest(serving, caplog):
    caplog.set_level(logging.INFO, "extproc")

    async def test(edge):
        admission = edge.servicer.admission
        slow = asyncio.ensure_future(edge.aborted(logout_request(), half_close=False))
        await until(lambda: admission.held(StepKind.BODY) == 1)
        *_, answer = await edge.call(logout_request(), body(), half_close=False)
        assert answer.immediate_response.status.code == 400
        assert await slow is grpc.StatusCode.DEADLINE_EXCEEDED
        assert admission.held(StepKind.BODY) == 0
        assert len(await edge.call(head())) == 1

    serving(test, provider=away(), limits=Limits(body=1))
    (line,) = [record for record in caplog.records if record.getMessage() == "aborted"]
    assert line.reason == "body_missing" and "limits.body" in line.detail


def test_a_body_that_nobody_asked_for_changes_nothing(serving):
    async def test(edge):
        (answer,) = await edge.call(head(method="POST"), body())
        assert answer.immediate_response.status.code == 401

    serving(test)


# -- how a stream ends -----------------------------------------------------------------------------


class Nameless(MemoryProvider):
    """A bug outside the boundary: its name cannot be read."""

    @property
    def name(self):
        raise ValueError


def nameless():
    provider = Nameless()
    provider.known = False
    return provider


async def leaves(edge):
    """A client that leaves while its stream is held."""
    asking = asyncio.create_task(edge.call(head(**NAVIGATION)))
    await until(lambda: edge.servicer.admission.held(StepKind.LOGIN))
    asking.cancel()
    await asyncio.wait([asking])


@pytest.mark.parametrize(
    ("provider", "happens", "outcome"),
    [
        (MemoryProvider, lambda edge: edge.call(head(**NAVIGATION)), "answered"),
        (away, lambda edge: edge.call(head(**NAVIGATION)), "answered"),
        (MemoryProvider, lambda edge: edge.aborted(), "aborted"),
        (MemoryProvider, lambda edge: edge.aborted(wire.ProcessingRequest()), "aborted"),
        (MemoryProvider, lambda edge: edge.aborted(b"\xff\xff\xff"), "aborted"),
        (lambda: hanging(MemoryProvider()), leaves, "cancelled"),
        (nameless, lambda edge: edge.aborted(head(**NAVIGATION)), "unanswered"),
    ],
    ids=["answered", "refused", "no message", "another message", "no protobuf", "left", "bug"],
)
def test_each_stream_is_counted_by_how_it_ended(serving, provider, happens, outcome):
    metrics = Metrics()

    def outcomes():
        return {
            sample.labels["outcome"]: sample.value
            for family in metrics.families()
            if family.name == "extproc_streams"
            for sample in family.samples
            if sample.name.endswith("_total") and sample.value
        }

    async def test(edge):
        await happens(edge)
        await until(outcomes)

    serving(test, provider=provider(), metrics=metrics)
    assert outcomes() == {outcome: 1}


def test_a_stream_that_ends_without_a_message_is_aborted(serving):
    async def test(edge):
        assert await edge.aborted() is grpc.StatusCode.ABORTED

    serving(test)


def test_a_client_that_leaves_is_no_error(serving, caplog):
    async def test(edge):
        task = asyncio.ensure_future(edge.call(half_close=False))
        await until(lambda: edge.servicer.admission.streams)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(await edge.call(head())) == 1

    serving(test)
    assert not [
        record
        for record in caplog.records
        if record.levelno >= logging.ERROR and record.name == "extproc"
    ]


# -- held streams ----------------------------------------------------------------------------------


def test_held_work_sends_the_override_first_and_then_one_answer(serving):
    provider = MemoryProvider()
    provider.known = False

    async def test(edge):
        override, answer = await edge.call(head(**NAVIGATION))
        assert override.override_message_timeout.seconds == 15
        assert override.WhichOneof("response") is None
        assert answer.immediate_response.status.code == 303

    serving(test, provider=provider)


def test_a_provider_that_is_away_is_503_with_retry_after(serving):
    async def test(edge):
        answer = (await edge.call(head(**NAVIGATION)))[-1]
        reply = answer.immediate_response
        assert (reply.status.code, reply.details) == (503, "provider_unavailable")
        assert int(headers_of(answer)["retry-after"]) > 0

    serving(test, provider=away())


def test_a_busy_store_is_asked_again_in_the_held_lane(serving):
    async def test(edge):
        override, answer = await edge.call(head(**NAVIGATION, **UNKNOWN))
        assert override.HasField("override_message_timeout")
        assert answer.immediate_response.status.code == 303

    serving(test, store=remote())


@pytest.mark.attack("REL-15")
@pytest.mark.threat("errors-close")
def test_a_store_that_cannot_answer_is_never_no_session(serving):
    async def test(edge):
        answer = (await edge.call(head(**NAVIGATION, **UNKNOWN)))[-1]
        reply = answer.immediate_response
        assert (reply.status.code, reply.details) == (503, "store_unavailable")
        assert "set-cookie" not in headers_of(answer)

    serving(test, store=remote(StoreUnavailable("broken")))


@pytest.mark.attack("REL-16")
def test_a_public_path_goes_on_without_the_store_and_without_identity(serving):
    async def test(edge):
        public = (*ROUTE, (PUBLIC, "1"))
        answer = (await edge.call(head(**NAVIGATION, **UNKNOWN), metadata=public))[-1]
        mutation = answer.request_headers.response.header_mutation
        assert said(answer, REASON) == "public"
        assert not mutation.set_headers and "x-auth-sub" in mutation.remove_headers

    serving(test, store=remote(StoreUnavailable("broken")))


class Broken(MemoryStore):
    """A bug on the event loop."""

    def get_nowait(self, key, now):
        raise LookupError("SECRET")


@pytest.mark.parametrize("held", [False, True])
def test_a_bug_is_a_500_with_a_trace_id_and_its_text_stays_in_the_log(serving, held, caplog):
    caplog.set_level(logging.ERROR, "extproc")

    async def test(edge):
        answer = (await edge.call(head(**NAVIGATION, **UNKNOWN)))[-1].immediate_response
        assert (answer.status.code, answer.details) == (500, "internal_error")
        assert b"SECRET" not in answer.body
        assert len(await edge.call(head())) == 1

    serving(test, store=remote(LookupError("SECRET")) if held else Broken())
    assert any(record.exc_info for record in caplog.records)
    (line,) = [record for record in caplog.records if record.getMessage() == "answered"]
    assert (line.reason, line.levelname, line.detail) == ("internal_error", "ERROR", "LookupError")


@pytest.mark.attack("REL-35")
@pytest.mark.threat("errors-close")
def test_more_streams_than_may_be_in_hand_are_503_at_once(serving):
    provider = hanging(MemoryProvider())

    async def test(edge):
        held = asyncio.ensure_future(edge.call(head(**NAVIGATION)))
        await until(lambda: edge.servicer.admission.held(StepKind.LOGIN))
        (answer,) = await edge.call(head(**NAVIGATION))
        reply = answer.immediate_response
        assert (reply.status.code, reply.details) == (503, "overloaded")
        await opens(edge, provider)
        assert (await held)[-1].immediate_response.status.code == 303

    serving(test, provider=provider, limits=Limits(streams=1))


def test_a_refusal_by_envoy_stays_as_it_is_beyond_the_limit_of_streams(serving):
    """It costs no decision, and an error in its place would hide the status from the client."""
    provider = hanging(MemoryProvider())

    async def test(edge):
        held = asyncio.ensure_future(edge.call(head(**NAVIGATION)))
        await until(lambda: edge.servicer.admission.held(StepKind.LOGIN))
        (answer,) = await edge.call(response_head("429"), metadata=LIVE_ROUTE)
        assert answer.WhichOneof("response") == "response_headers"
        (answer,) = await edge.call(head(upgrade="websocket"), metadata=(*ROUTE, (LIVE, "1")))
        assert answer.immediate_response.details == "overloaded"
        await opens(edge, provider)
        assert (await held)[-1].immediate_response.status.code == 303

    serving(test, provider=provider, limits=Limits(streams=1))


def test_a_lane_that_is_full_refuses_at_once_and_the_inline_lane_goes_on(serving):
    provider = hanging(MemoryProvider())

    async def test(edge):
        held = [asyncio.ensure_future(edge.call(head(**NAVIGATION))) for _ in range(2)]
        await until(lambda: edge.servicer.admission.held(StepKind.LOGIN) == 2)
        (answer,) = await edge.call(head(**NAVIGATION))
        assert answer.immediate_response.details == "overloaded"
        (answer,) = await edge.call(head())
        assert answer.immediate_response.status.code == 401
        await opens(edge, provider)
        codes = [
            answers[-1].immediate_response.status.code for answers in await asyncio.gather(*held)
        ]
        assert codes == [303, 303]

    serving(test, provider=provider, limits=Limits(login=2))


def one_session(*, store_is_remote):
    """A store with a session whose tokens are due, and the provider that renews them."""
    store, provider = MemoryStore(), MemoryProvider()
    store.remote = store_is_remote
    store.records[DUE.id.key] = to_record(APP, DUE, Device(), bytes(2 * ENTROPY))
    provider.good.add("rt0")
    return store, provider


@pytest.mark.parametrize("busy", [False, True])
def test_a_refresh_is_held_and_the_request_goes_on_with_its_identity(serving, busy):
    store, provider = one_session(store_is_remote=busy)
    before = store.records[DUE.id.key]

    async def test(edge):
        override, answer = await edge.call(head(**SIGNED_IN))
        assert override.HasField("override_message_timeout")
        assert said(answer, DECISION) == CONTINUE
        sent = answer.request_headers.response.header_mutation.set_headers
        identity = {option.header.key: option.header.raw_value for option in sent}
        assert identity["x-auth-sub"] == b"alice"
        assert store.records[DUE.id.key] != before and provider.good == {"rt1"}

    serving(test, app=APP, store=store, provider=provider)


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize("forwards", [False, True])
def test_a_full_lane_for_refreshes_lets_through_whoever_needs_no_new_token(serving, busy, forwards):
    app = application(refresh_margin=30, forward_access_token=forwards)
    store, provider = one_session(store_is_remote=busy)
    provider.open = trio.Event()

    async def test(edge):
        held = asyncio.ensure_future(edge.call(head(**SIGNED_IN)))
        await until(lambda: edge.servicer.admission.held(StepKind.REFRESH))
        answer = (await edge.call(head(**SIGNED_IN)))[-1]
        assert answer.immediate_response.details == ("access_token_expired" if forwards else "")
        await opens(edge, provider)
        assert (await held)[-1].HasField("request_headers")

    serving(test, app=app, store=store, provider=provider, limits=Limits(refresh=1))
