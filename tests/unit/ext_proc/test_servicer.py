"""The gRPC edge: whatever a peer does, each phase gets exactly one answer or the stream ends with
an error. On both bridges.
"""

import asyncio
import contextlib
import logging

import grpc
import pytest
import trio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from harness.bridges import BRIDGES
from harness.tokens import ISSUER, METADATA, NOW, application, key_set

from extproc._wire import ext_proc_pb2 as wire
from extproc.addresses import Address
from extproc.contract import APPLICATION, CONTINUE, COOKIES, DECISION, NAMESPACE, PUBLIC, SERVICE
from extproc.core.device import Device
from extproc.core.errors import ProviderUnavailable, StoreUnavailable
from extproc.core.oidc.claims import Claims
from extproc.core.oidc.token import RefreshResponse
from extproc.core.sealing import ENTROPY
from extproc.core.session import Session, SessionId
from extproc.core.session_record import to_record
from extproc.ext_proc.codec import GRPC_UNAUTHENTICATED
from extproc.ext_proc.credentials import CannotListen, Door
from extproc.ext_proc.server import Listener, options
from extproc.ext_proc.servicer import Server
from extproc.metrics import Metrics
from extproc.relying_party.relying_party import RelyingParty
from extproc.sessions.store import WouldBlock
from extproc.sessions.stored import StoredSessions
from extproc.settings import Limits, Timeouts

BROWSER = {"accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


class FakeProvider:
    """What RelyingParty asks of a provider, as far as these tests go; `away` makes its metadata
    fail.
    """

    name = "main"

    def __init__(self, known=METADATA):
        self.known = known

    def metadata_nowait(self):
        return self.known

    async def metadata(self):
        if self.known is None:
            raise ProviderUnavailable("away")
        return self.known

    async def keys(self):
        await self.metadata()
        return key_set()


class FakeStore:
    """A SessionStore without sessions; `busy` and `broken` are what a store can be."""

    def __init__(self, busy=False, error=None):
        self.busy, self.error = busy, error

    def get_nowait(self, key, now):
        if self.busy:
            raise WouldBlock
        if self.error:
            raise self.error
        return None

    async def get(self, key, now):
        if self.error:
            raise self.error
        return None


def headers(path="/private", method="GET", authority="app.example", **more):
    said = {
        ":method": method,
        ":path": path,
        ":authority": authority,
        ":scheme": "https",
        **{k.replace("_", "-"): v for k, v in more.items()},
    }
    request = wire.ProcessingRequest()
    for name, value in said.items():
        header = request.request_headers.headers.headers.add()
        header.key, header.raw_value = name, value if isinstance(value, bytes) else value.encode()
    return request


@pytest.fixture(params=BRIDGES)
def serving(request):
    """serving(test, ...): runs `await test(call)` beside a server; call(*messages) gives the
    answers of one stream.
    """

    def run(test, *, provider=None, store=None, limits=None, app=None, metrics=None):
        async def body(bridge):
            party = RelyingParty(
                {"app": app or application()},
                {"app": provider or FakeProvider()},
                StoredSessions(store or FakeStore()),
                lambda: NOW,
            )
            server = Server(party, bridge, Timeouts(), limits or Limits(), metrics)
            listener = Listener(server, Door(Address(host="127.0.0.1", port=0)))
            await listener.start()
            async with grpc.aio.insecure_channel(f"127.0.0.1:{listener.port}") as channel:
                method = channel.stream_stream(
                    f"/{SERVICE}/Process",
                    lambda m: m if isinstance(m, bytes) else m.SerializeToString(),
                    wire.ProcessingResponse.FromString,
                )

                async def call(*messages, metadata=((APPLICATION, "app"),), half_close=True):
                    stream = method(metadata=metadata)
                    try:
                        # aborted already: its code says so below
                        with contextlib.suppress(asyncio.InvalidStateError):
                            for message in messages:
                                await stream.write(message)
                            if half_close:
                                await stream.done_writing()
                        answers = []
                        while (answer := await stream.read()) is not grpc.aio.EOF:
                            answers.append(answer)
                        assert await stream.code() == grpc.StatusCode.OK
                        return answers
                    finally:
                        # grpc keeps a call going whose read is cancelled before the server's first
                        # metadata came
                        stream.cancel()

                async with asyncio.timeout(60):
                    try:
                        await test(call)
                    finally:
                        await listener.drain(0)
            assert server.admission.streams == 0

        BRIDGES[request.param](body)

    return run


async def aborted(call, *messages, **how):
    with pytest.raises((grpc.aio.AioRpcError, AssertionError)) as caught:
        await call(*messages, **how)
    assert (
        isinstance(caught.value, grpc.aio.AioRpcError) and caught.value.code() != grpc.StatusCode.OK
    )
    return caught.value


@pytest.mark.attack("EXTP-12")
def test_a_navigation_gets_one_redirect(serving):
    async def test(call):
        (answer,) = await call(headers(**BROWSER))
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


def test_it_is_serving_at_once_though_no_provider_can_be_reached():
    async def body(bridge):
        listener = Listener(
            Server(RelyingParty({}, {}, StoredSessions(FakeStore())), bridge, Timeouts(), Limits()),
            Door(Address(host="127.0.0.1", port=0)),
        )
        await listener.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{listener.port}") as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            for service in ("", SERVICE):
                answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
                assert answer.status == health_pb2.HealthCheckResponse.SERVING
        await listener.drain(0)

    BRIDGES["guest"](body)


def test_a_stream_that_ends_without_a_message_is_aborted(serving):
    async def test(call):
        assert (await aborted(call)).code() == grpc.StatusCode.ABORTED

    serving(test)


class Away(FakeProvider):
    """Its metadata cannot be had."""

    def __init__(self):
        super().__init__(None)


class Nameless(Away):
    """A bug outside the boundary."""

    @property
    def name(self):
        raise ValueError


class Stuck(Away):
    """Says nothing until its client leaves."""

    asked = False

    async def metadata(self):
        self.asked = True
        await trio.sleep_forever()


async def until(check):
    """Within the time that a whole test has."""
    while not check():
        await asyncio.sleep(0.01)


async def leaves(call, provider):
    asking = asyncio.create_task(call(headers(**BROWSER)))
    await until(lambda: provider.asked)
    asking.cancel()
    await asyncio.wait([asking])


@pytest.mark.parametrize(
    ("provider", "happens", "outcome"),
    [
        (FakeProvider, lambda call, _: call(headers(**BROWSER)), "answered"),
        (Away, lambda call, _: call(headers(**BROWSER)), "answered"),
        (FakeProvider, lambda call, _: aborted(call), "aborted"),
        (FakeProvider, lambda call, _: aborted(call, wire.ProcessingRequest()), "aborted"),
        (FakeProvider, lambda call, _: aborted(call, b"\xff\xff\xff"), "aborted"),
        (Stuck, leaves, "cancelled"),
        (Nameless, lambda call, _: aborted(call, headers(**BROWSER)), "unanswered"),
    ],
    ids=["answered", "refused", "no message", "another message", "no protobuf", "left", "bug"],
)
def test_each_stream_is_counted_by_how_it_ended(serving, provider, happens, outcome):
    metrics, provider = Metrics(), provider()

    def outcomes():
        return {
            sample.labels["outcome"]: sample.value
            for family in metrics.families()
            if family.name == "extproc_streams"
            for sample in family.samples
            if sample.name.endswith("_total") and sample.value
        }

    async def test(call):
        await happens(call, provider)
        while not outcomes():
            await asyncio.sleep(0.01)

    serving(test, provider=provider, metrics=metrics)
    assert outcomes() == {outcome: 1}


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
    async def test(call):
        await aborted(call, message)
        assert len(await call(headers())) == 1

    serving(test)


@pytest.mark.attack("EXTP-16")
def test_observability_mode_is_refused(serving):
    message = headers(**BROWSER)
    message.observability_mode = True

    async def test(call):
        await aborted(call, message)

    serving(test)


def test_a_stream_that_names_no_application_is_aborted_and_an_unknown_one_refused(serving):
    async def test(call):
        await aborted(call, headers(), metadata=())
        (answer,) = await call(headers(**BROWSER), metadata=((APPLICATION, "other"),))
        assert answer.immediate_response.status.code == 421

    serving(test)


def test_a_public_path_is_a_written_decision(serving):
    async def test(call):
        (answer,) = await call(
            headers(), metadata=((APPLICATION, "app"), ("x-extproc-public", "1"))
        )
        assert answer.WhichOneof("response") == "request_headers"
        assert (
            answer.dynamic_metadata.fields[NAMESPACE].struct_value.fields[DECISION].string_value
            == CONTINUE
        )
        # a header of the request that only looks like the route's word says nothing
        (answer,) = await call(headers(x_extproc_public="1"))
        assert answer.immediate_response.status.code == 401

    serving(test)


@pytest.mark.attack("HDR-06")
def test_any_bytes_in_headers_are_read(serving):
    async def test(call):
        (answer,) = await call(
            headers(
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
    async def test(call):
        (answer,) = await call(headers(method="POST", content_type="application/grpc+proto"))
        assert (
            answer.immediate_response.status.code,
            answer.immediate_response.grpc_status.status,
        ) == (
            401,
            GRPC_UNAUTHENTICATED,
        )

    serving(test)


def test_held_work_sends_the_override_first_and_then_one_answer(serving):
    class Slow(FakeProvider):
        def metadata_nowait(self):
            return None

    async def test(call):
        override, answer = await call(headers(**BROWSER))
        assert (
            override.override_message_timeout.seconds == 15
            and override.WhichOneof("response") is None
        )
        assert answer.immediate_response.status.code == 303

    serving(test, provider=Slow())


def test_a_provider_that_is_away_is_503_with_retry_after(serving):
    async def test(call):
        answer = (await call(headers(**BROWSER)))[-1].immediate_response
        sent = {option.header.key: option.header.raw_value for option in answer.headers.set_headers}
        assert (answer.status.code, answer.details) == (503, "provider_unavailable") and int(
            sent["retry-after"]
        ) > 0

    serving(test, provider=FakeProvider(None))


COOKIE = {COOKIES: f"__Host-extproc-session-app={SessionId.of(b'a' * 32).cookie}"}
SIGNED_IN = {COOKIES: f"__Host-extproc-session-app={SessionId.of(b's' * 32).cookie}"}


def test_a_busy_store_is_asked_again_in_the_held_lane(serving):
    async def test(call):
        override, answer = await call(headers(**BROWSER, **COOKIE))
        assert (
            override.HasField("override_message_timeout")
            and answer.immediate_response.status.code == 303
        )

    serving(test, store=FakeStore(busy=True))


@pytest.mark.attack("REL-15")
@pytest.mark.threat("errors-close")
def test_a_store_that_cannot_answer_is_never_no_session(serving):
    async def test(call):
        answer = (await call(headers(**BROWSER, **COOKIE)))[-1].immediate_response
        assert (answer.status.code, answer.details) == (503, "store_unavailable")
        assert not [
            option for option in answer.headers.set_headers if option.header.key == "set-cookie"
        ]

    serving(test, store=FakeStore(busy=True, error=StoreUnavailable("broken")))


@pytest.mark.attack("REL-16")
def test_a_public_path_goes_on_without_the_store_and_without_identity(serving):
    async def test(call):
        public = ((APPLICATION, "app"), (PUBLIC, "1"))
        answer = (await call(headers(**BROWSER, **COOKIE), metadata=public))[-1]
        mutation = answer.request_headers.response.header_mutation
        assert (
            answer.dynamic_metadata.fields[NAMESPACE].struct_value.fields["reason"].string_value
            == "public"
        )
        assert not mutation.set_headers and "x-auth-sub" in mutation.remove_headers

    serving(test, store=FakeStore(busy=True, error=StoreUnavailable("broken")))


@pytest.mark.parametrize("busy", [False, True])
def test_a_bug_is_a_500_with_a_trace_id_and_its_text_stays_in_the_log(serving, busy, caplog):
    caplog.set_level(logging.ERROR, "extproc")

    async def test(call):
        answer = (await call(headers(**BROWSER, **COOKIE)))[-1].immediate_response
        assert (answer.status.code, answer.details) == (
            500,
            "internal_error",
        ) and b"SECRET" not in answer.body
        assert len(await call(headers())) == 1

    serving(test, store=FakeStore(busy=busy, error=LookupError("SECRET")))
    assert any(record.exc_info for record in caplog.records)
    (line,) = [record for record in caplog.records if record.getMessage() == "answered"]
    assert (line.reason, line.levelname, line.detail) == ("internal_error", "ERROR", "LookupError")


@pytest.mark.attack("REL-35")
@pytest.mark.threat("errors-close")
def test_more_streams_than_may_be_in_hand_are_503_at_once(serving):
    asked, gate = [], []

    class Slow(FakeProvider):
        def metadata_nowait(self):
            return None

        async def metadata(self):
            asked.append(1)
            while not gate:
                await trio.sleep(0.005)
            return self.known

    async def test(call):
        held = asyncio.ensure_future(call(headers(**BROWSER)))
        await until(lambda: asked)
        (answer,) = await call(headers(**BROWSER))
        assert (answer.immediate_response.status.code, answer.immediate_response.details) == (
            503,
            "overloaded",
        )
        gate.append(1)
        assert (await held)[-1].immediate_response.status.code == 303

    serving(test, provider=Slow(), limits=Limits(streams=1))


@pytest.mark.parametrize("streams", [1, 20_000, 1_000_000])
def test_grpc_drops_nothing_before_the_limit_of_streams_answers(streams):
    said = dict(options(Limits(streams=streams)))
    assert said["grpc.server.max_pending_requests"] >= 2 * streams
    assert (
        said["grpc.server.max_pending_requests_hard_limit"]
        >= 2 * said["grpc.server.max_pending_requests"]
    )


def test_a_lane_that_is_full_refuses_at_once_and_the_inline_lane_goes_on(serving):
    asked, gate = [], []

    class Slow(FakeProvider):
        def metadata_nowait(self):
            return None

        async def metadata(self):
            asked.append(1)
            while not gate:
                await trio.sleep(0.005)
            return self.known

    async def test(call):
        held = [asyncio.ensure_future(call(headers(**BROWSER))) for _ in range(2)]
        await until(lambda: len(asked) == 2)
        (answer,) = await call(headers(**BROWSER))
        assert answer.immediate_response.details == "overloaded"
        (answer,) = await call(headers())
        assert answer.immediate_response.status.code == 401
        gate.append(1)
        assert [
            answers[-1].immediate_response.status.code for answers in await asyncio.gather(*held)
        ] == [303, 303]

    serving(test, provider=Slow(), limits=Limits(login=2))


class OneSession(FakeStore):
    """A session whose tokens are due, in a store without other processes; `written` is what became
    of it.
    """

    def __init__(self, app, busy=False):
        super().__init__(busy)
        known = Session(
            SessionId.of(b"s" * 32), ISSUER, "alice", Claims({"sub": "alice"}), "idt", "at", "rt", NOW - 1, NOW - 400, NOW + 9_000, NOW
        )  # fmt: skip
        self.record = to_record(app, known, Device(), bytes(2 * ENTROPY))
        self.written = []

    def get_nowait(self, key, now):
        super().get_nowait(key, now)
        return self.record

    async def get(self, key, now):
        return self.record

    async def lock(self, key, holder, seconds, now):
        return True

    async def unlock(self, key, holder): ...

    async def replace(self, record, holder, now):
        self.written.append(record)
        self.record = record
        return True


class Renewing(FakeProvider):
    """Answers a refresh when `gate` is not empty."""

    asked = False

    def __init__(self, gate):
        super().__init__()
        self.gate = gate

    async def keys(self):
        return key_set()

    async def refresh(self, form):
        self.asked = True
        while not self.gate:
            await trio.sleep(0.005)
        return RefreshResponse("at2", None, "rt2", 300)


@pytest.mark.parametrize("busy", [False, True])
def test_a_refresh_is_held_and_the_request_goes_on_with_its_identity(serving, busy):
    app = application(refresh_margin=30)
    store = OneSession(app, busy)

    async def test(call):
        more, answer = await call(headers(**SIGNED_IN))
        assert more.HasField("override_message_timeout")
        assert (
            answer.dynamic_metadata.fields[NAMESPACE].struct_value.fields[DECISION].string_value
            == CONTINUE
        )
        mutation = answer.request_headers.response.header_mutation
        assert {each.header.key: each.header.raw_value for each in mutation.set_headers}[
            "x-auth-sub"
        ] == b"alice"
        assert len(store.written) == 1

    serving(test, app=app, store=store, provider=Renewing([1]))


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize("forwards", [False, True])
def test_a_full_lane_for_refreshes_lets_through_whoever_needs_no_new_token(serving, busy, forwards):
    app, gate = application(refresh_margin=30, forward_access_token=forwards), []
    provider = Renewing(gate)

    async def test(call):
        held = asyncio.ensure_future(call(headers(**SIGNED_IN)))
        await until(lambda: provider.asked)
        answer = (await call(headers(**SIGNED_IN)))[-1]
        assert answer.immediate_response.details == ("access_token_expired" if forwards else "")
        gate.append(1)
        assert (await held)[-1].HasField("request_headers")

    serving(test, app=app, store=OneSession(app, busy), provider=provider, limits=Limits(refresh=1))


def test_a_client_that_leaves_is_no_error(serving, caplog):
    async def test(call):
        task = asyncio.ensure_future(call(half_close=False))
        await asyncio.sleep(0.1)  # by time: to be in hand; leaving before is no error either
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(await call(headers())) == 1

    serving(test)
    assert not [
        record
        for record in caplog.records
        if record.levelno >= logging.ERROR and record.name == "extproc"
    ]


def logout_request(**more):
    return headers(
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
        (b"logout_token=x", 503, "provider_unavailable"),
        (b"other=x", 400, "invalid_logout_request"),
        (b"logout_token=" + b"x" * 100_000, 413, "body_too_large"),
        (b"logout_token=" + b"x" * 2_000_000, 413, "body_too_large"),
    ],
)
def test_the_body_is_a_phase_of_its_own_with_one_answer(serving, content, status, reason):
    async def test(call):
        asked, *more = await call(logout_request(), body(content), half_close=False)
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

    serving(test, provider=FakeProvider(None))


def test_a_request_without_a_body_is_answered_at_once(serving):
    message = logout_request()
    message.request_headers.end_of_stream = True

    async def test(call):
        (answer,) = await call(message, half_close=False)
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
    async def test(call):
        await aborted(call, logout_request(), *instead)
        assert len(await call(headers())) == 1

    serving(test)


def test_a_body_that_nobody_asked_for_changes_nothing(serving):
    async def test(call):
        (answer,) = await call(headers(method="POST"), body())
        assert answer.immediate_response.status.code == 401

    serving(test)


def test_an_address_that_is_taken_is_said_clearly():
    async def main():
        import socket

        with socket.create_server(("127.0.0.1", 0)) as taken:
            party = RelyingParty({}, {}, StoredSessions(FakeStore()))
            with pytest.raises(CannotListen, match="cannot be bound"):
                await Listener(
                    Server(party, None, Timeouts(), Limits()),
                    Door(Address(host="127.0.0.1", port=taken.getsockname()[1])),
                ).start()

    asyncio.run(main())
