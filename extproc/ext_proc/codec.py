"""Envoy's messages as values, and answers as Envoy's messages. Pure: it does no IO."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from extproc._wire import ext_proc_pb2 as wire
from extproc.contract import (
    ACCESS,
    APPLICATION,
    CACHE_CONTROL,
    CONTINUE,
    DECISION,
    FINGERPRINT,
    FORWARDED,
    LANE,
    LIVE,
    MORE_COOKIES,
    NAMESPACE,
    NO_STORE,
    PUBLIC,
    REASON,
    RULE,
    SET_COOKIE,
    SHADOW,
    STREAM_DURATION,
    USER,
)
from extproc.core.decisions import Answer, Continue, Respond
from extproc.core.http import Request
from extproc.ext_proc.immediate_response import immediate_response, set_header


@dataclass(frozen=True, slots=True)
class RequestHead:
    """The first message of a stream: the request's headers."""

    request: Request
    # no body follows
    end_of_stream: bool
    # the client speaks gRPC, so a refusal needs a grpc-status
    grpc: bool
    # the stream ends with its session (ext_proc/live_streams.py)
    live: bool


class UnexpectedMessage(Exception):
    """The stream has to be aborted: its peer sent a phase that was not asked for, or did not come
    through the generated configuration.
    """


def read(message: wire.ProcessingRequest, metadata: Mapping[str, str]) -> RequestHead:
    """Read the first message of a stream.

    Args:
        message: What Envoy sent.
        metadata: The stream's gRPC metadata, in which the route names the application.

    Raises: UnexpectedMessage.
    """
    if message.observability_mode:
        # Envoy would not wait for the answer: every request would pass
        raise UnexpectedMessage(
            "observability_mode is on: this processor cannot protect anything so"
        )
    phase = message.WhichOneof("request")
    if phase != "request_headers":
        raise UnexpectedMessage(f"a message of the phase {phase}, which was not asked for")
    return _head(message.request_headers, metadata)


def _head(head: wire.HttpHeaders, metadata: Mapping[str, str]) -> RequestHead:
    application = metadata.get(APPLICATION)
    if application is None:
        raise UnexpectedMessage(
            f"the route does not name its application in {APPLICATION}: is the "
            "configuration from `extproc envoy`?"
        )
    # Envoy fills raw_value only; latin-1 gives every byte a character, so nothing is lost and
    # nothing can fail
    pseudo: dict[str, str] = {}
    plain: list[tuple[str, str]] = []
    for header in head.headers.headers:
        name = FORWARDED.get(header.key)
        if name is None:
            continue
        value = header.raw_value.decode("latin-1")
        if name[0] == ":":
            pseudo[name] = value
        else:
            plain.append((name, value))
    request = Request(
        application,
        metadata.get(PUBLIC) == "1",
        pseudo.get(":method", ""),
        pseudo.get(":path", ""),
        pseudo.get(":authority", ""),
        tuple(plain),
        metadata.get(FINGERPRINT, ""),
        metadata.get(ACCESS, ""),
        metadata.get(RULE, ""),
        metadata.get(SHADOW, ""),
    )
    grpc = request.header("content-type").startswith("application/grpc")
    return RequestHead(request, head.end_of_stream, grpc, metadata.get(LIVE) == "1")


def read_body(message: wire.ProcessingRequest) -> bytes:
    """Read the whole body, which Envoy buffers on such a route. Raises UnexpectedMessage."""
    phase = message.WhichOneof("request")
    if phase != "request_body":
        raise UnexpectedMessage(f"a message of the phase {phase} in place of the body")
    return message.request_body.body


def ask_for_body() -> wire.ProcessingResponse:
    """The answer to the headers when the body is needed.

    It holds no `decision`, so that the gate lets nothing through without a second answer.
    """
    response = wire.ProcessingResponse()
    response.request_headers.response.SetInParent()
    return response


def is_refused_by_envoy(message: wire.ProcessingRequest, metadata: Mapping[str, str]) -> bool:
    """Whether the first message is the head of a response by which a filter before the processor
    has refused the request: the networks or the client certificate of a rule (403), or the rate
    limit (429).

    Only the route of a live stream has Envoy send it. A response with another status can only be
    that of an application that the request has reached without the processor.
    """
    if metadata.get(LIVE) != "1" or message.WhichOneof("request") != "response_headers":
        return False
    headers = message.response_headers.headers.headers
    statuses = [header.raw_value for header in headers if header.key == ":status"]
    return statuses in ([b"403"], [b"429"])


def unchanged(message: wire.ProcessingRequest) -> wire.ProcessingResponse:
    """The answer to a phase of a live stream's response, which changes nothing. Raises
    UnexpectedMessage.
    """
    response = wire.ProcessingResponse()
    match message.WhichOneof("request"):
        case "response_headers":
            response.response_headers.SetInParent()
        case "response_trailers":
            response.response_trailers.SetInParent()
        case phase:
            raise UnexpectedMessage(f"a message of the phase {phase} in a live stream")
    return response


def end_stream(reason: str) -> wire.ProcessingResponse:
    """The message that ends a live stream.

    Before the response has begun the client gets this answer; afterwards Envoy makes a reset of it.
    """
    response = wire.ProcessingResponse()
    response.immediate_response.status.code = 401
    response.immediate_response.details = reason
    fields = response.dynamic_metadata.fields[NAMESPACE].struct_value.fields
    fields[REASON].string_value = reason
    return response


def override_message_timeout(seconds: float) -> wire.ProcessingResponse:
    """The message that asks Envoy to wait longer for this phase.

    Envoy takes one in each phase, and before any other message.
    """
    response = wire.ProcessingResponse()
    response.override_message_timeout.FromMilliseconds(int(seconds * 1000))
    return response


def write(
    answer: Answer, trace_id: str, lane: str, *, grpc: bool = False
) -> wire.ProcessingResponse:
    """The message that answers the request's headers, or its body if that was asked for.

    Args:
        answer: What was decided.
        trace_id: 32 hex digits, for the client.
        lane: `inline` or `held`, for the access log.
        grpc: True when the client speaks gRPC.

    Raises: ValueError for a value that no header may hold.
    """
    match answer:
        case Continue():
            response = _continue(answer)
        case Respond():
            response = immediate_response(answer, trace_id, grpc=grpc)
        case _:
            assert_never(answer)
    fields = response.dynamic_metadata.fields[NAMESPACE].struct_value.fields
    fields[REASON].string_value = answer.reason
    fields[LANE].string_value = lane
    if answer.user is not None:
        fields[USER].string_value = answer.user
    return response


def _continue(answer: Continue) -> wire.ProcessingResponse:
    response = wire.ProcessingResponse()
    mutation = response.request_headers.response.header_mutation
    for name, value in answer.set_headers:
        # Identity headers may be plain UTF-8 (encoding: raw).
        set_header(mutation, name, value, utf8=True)
    if answer.lasts is not None:
        set_header(mutation, STREAM_DURATION, str(answer.lasts * 1000))
    mutation.remove_headers.extend(answer.remove_headers)
    fields = response.dynamic_metadata.fields[NAMESPACE].struct_value.fields
    fields[DECISION].string_value = CONTINUE
    if answer.set_cookies:
        # the route has so many places for Set-Cookie; and no cache may keep the response for others
        keys = (SET_COOKIE, *MORE_COOKIES)[: len(answer.set_cookies)]
        for key, cookie in zip(keys, answer.set_cookies, strict=True):
            fields[key].string_value = cookie.header()
        fields[CACHE_CONTROL].string_value = "private"
        fields[NO_STORE].string_value = "no-store"
    return response
