"""Envoy's messages as values, and answers as Envoy's messages. Pure: bytes of a header in, values
out, and back.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from extproc import pages
from extproc._wire import ext_proc_pb2 as wire
from extproc.contract import (
    APPLICATION,
    CACHE_CONTROL,
    CONTINUE,
    DECISION,
    FORWARDED,
    LANE,
    LIVE,
    MORE_COOKIES,
    NAMESPACE,
    PUBLIC,
    REASON,
    SET_COOKIE,
    STREAM_DURATION,
)
from extproc.core.decisions import Answer, Continue, Respond
from extproc.core.http import Request

GRPC_UNAUTHENTICATED, GRPC_UNAVAILABLE = 16, 14


@dataclass(frozen=True, slots=True)
class RequestHead:
    """The first message of a stream. grpc: the client speaks gRPC, so a refusal needs a
    grpc-status. live: see ext_proc/live_streams.py.
    """

    request: Request
    end_of_stream: bool
    grpc: bool
    live: bool


class UnexpectedMessage(Exception):
    """A phase that was not asked for, or a stream that did not come through our configuration: the
    stream is aborted.
    """


def read(message: wire.ProcessingRequest, metadata: Mapping[str, str]) -> RequestHead:
    """metadata: the stream's gRPC metadata, where the route wrote the application's name. Raises
    UnexpectedMessage.
    """
    if message.observability_mode:
        # Envoy would not wait for our answer: every request would pass
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
    )
    grpc = request.header("content-type").startswith("application/grpc")
    return RequestHead(request, head.end_of_stream, grpc, metadata.get(LIVE) == "1")


def read_body(message: wire.ProcessingRequest) -> bytes:
    """The whole body, as its route has it buffered. Raises UnexpectedMessage."""
    phase = message.WhichOneof("request")
    if phase != "request_body":
        raise UnexpectedMessage(f"a message of the phase {phase} in place of the body")
    return message.request_body.body


def ask_for_body() -> wire.ProcessingResponse:
    """Answers the headers where the body is needed. It says no `decision`: without a second answer
    the gate lets nothing through.
    """
    response = wire.ProcessingResponse()
    response.request_headers.response.SetInParent()
    return response


def unchanged(message: wire.ProcessingRequest) -> wire.ProcessingResponse:
    """Answers a phase of the response of a live stream. Raises UnexpectedMessage."""
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
    """Ends a live stream: once a response has begun, Envoy makes a reset of it, and before, this
    answer.
    """
    response = wire.ProcessingResponse()
    response.immediate_response.status.code = 401
    response.immediate_response.details = reason
    said = response.dynamic_metadata.fields[NAMESPACE].struct_value.fields
    said[REASON].string_value = reason
    return response


def override_message_timeout(seconds: float) -> wire.ProcessingResponse:
    """Asks Envoy to wait longer for this phase: once, and before anything else is written."""
    response = wire.ProcessingResponse()
    response.override_message_timeout.FromMilliseconds(int(seconds * 1000))
    return response


def write(
    answer: Answer, trace_id: str, lane: str, *, grpc: bool = False
) -> wire.ProcessingResponse:
    """The one message that answers the request's headers, or its body where that was asked for.
    lane: for the access log.
    """
    match answer:
        case Continue():
            response = _continue(answer)
        case Respond():
            response = _respond(answer, trace_id, grpc=grpc)
        case _:
            assert_never(answer)
    said = response.dynamic_metadata.fields[NAMESPACE].struct_value.fields
    said[REASON].string_value = answer.reason
    said[LANE].string_value = lane
    return response


def _continue(answer: Continue) -> wire.ProcessingResponse:
    response = wire.ProcessingResponse()
    mutation = response.request_headers.response.header_mutation
    for name, value in answer.set_headers:
        _set(mutation, name, value)
    if answer.lasts is not None:
        _set(mutation, STREAM_DURATION, str(answer.lasts * 1000))
    mutation.remove_headers.extend(answer.remove_headers)
    said = response.dynamic_metadata.fields[NAMESPACE].struct_value.fields
    said[DECISION].string_value = CONTINUE
    if answer.set_cookies:
        # the route has so many Set-Cookie for us, and the answer must not be kept for others
        keys = (SET_COOKIE, *MORE_COOKIES)[: len(answer.set_cookies)]
        for key, cookie in zip(keys, answer.set_cookies, strict=True):
            said[key].string_value = cookie.header()
        said[CACHE_CONTROL].string_value = "private"
    return response


def _respond(answer: Respond, trace_id: str, *, grpc: bool) -> wire.ProcessingResponse:
    response = wire.ProcessingResponse()
    reply = response.immediate_response
    reply.status.code = answer.status
    reply.details = answer.reason
    if grpc:
        reply.grpc_status.status = (
            GRPC_UNAUTHENTICATED if answer.status == 401 else GRPC_UNAVAILABLE
        )
    for name, value in _headers(answer, trace_id):
        _set(reply.headers, name, value)
    for cookie in answer.cookies:
        _set(reply.headers, "set-cookie", cookie.header(), append=True)
    error = answer.status >= 400
    if answer.json is not None:
        reply.body = answer.json.encode()
    elif answer.page is not None and answer.html:
        reply.body = pages.html(answer.page, answer.reason, trace_id, error=error)
    elif answer.page is not None:
        reply.body = pages.problem(
            answer.page, answer.status, answer.reason, trace_id, answer.login_url
        )
    return response


def _headers(answer: Respond, trace_id: str) -> list[tuple[str, str]]:
    headers = [
        ("cache-control", "no-store"),
        ("referrer-policy", _referrer_policy(answer)),
        ("x-content-type-options", "nosniff"),
        ("x-trace-id", trace_id),
    ]
    if answer.location is not None:
        headers.append(("location", answer.location))
    if answer.json is not None:
        headers.append(("content-type", "application/json"))
    elif answer.page is not None:
        headers.append(
            (
                "content-type",
                "text/html; charset=utf-8" if answer.html else "application/problem+json",
            )
        )
    if answer.page is not None and answer.html:
        headers.append(("content-security-policy", pages.csp(answer.framed_by)))
    if answer.retry_after is not None:
        headers.append(("retry-after", str(answer.retry_after)))
    if answer.allow is not None:
        headers.append(("allow", answer.allow))
    if answer.status == 401:
        # a 401 says how to do better (RFC 9110 section 15.5.2); no browser opens a password box for
        # this scheme
        said = (
            f'login_url="{answer.login_url}"' if answer.login_url else "",
            answer.challenge or "",
        )
        headers.append(("www-authenticate", f"OIDC {', '.join(filter(None, said))}".rstrip()))
    return headers


def _referrer_policy(answer: Respond) -> str:
    """No address of ours goes anywhere, a callback's above all. A page with a form tells its own
    origin, and nobody else, where it stood: under no-referrer a browser posts the form with
    `Origin: null`, which may be anybody's (Fetch, "append a request Origin header").
    """
    has_form = (
        answer.page is not None and answer.html and (answer.page.posts or bool(answer.page.cards))
    )
    return "same-origin" if has_form else "no-referrer"


_VALUE = re.compile(r"[\x20-\x7e]*")


def _set(mutation: wire.HeaderMutation, name: str, value: str, *, append: bool = False) -> None:
    """Only raw_value counts, and only `append`; one CR or LF would make Envoy drop the whole
    mutation, so it is a bug here.
    """
    if not _VALUE.fullmatch(value):
        raise ValueError(f"a value for the header {name} holds what no header may")
    option = mutation.set_headers.add()
    option.header.key = name
    option.header.raw_value = value.encode("ascii")
    if append:
        option.append.value = True
