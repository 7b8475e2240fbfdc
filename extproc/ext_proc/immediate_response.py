"""A Respond as Envoy's immediate response: its headers, its cookies and its body."""

import re

from extproc import pages
from extproc._wire import ext_proc_pb2 as wire
from extproc.core.decisions import Respond

# https://grpc.github.io/grpc/core/md_doc_statuscodes.html
GRPC_PERMISSION_DENIED = 7
GRPC_INTERNAL = 13
GRPC_UNAVAILABLE = 14
GRPC_UNAUTHENTICATED = 16
# By HTTP status, as gRPC itself maps it
# (https://grpc.github.io/grpc/core/md_doc_http-grpc-status-mapping.html). Clients try again after
# GRPC_UNAVAILABLE, which all others are.
_GRPC_STATUS = {400: GRPC_INTERNAL, 401: GRPC_UNAUTHENTICATED, 403: GRPC_PERMISSION_DENIED}
_VALUE = re.compile(r"[\x20-\x7e]*")
# Beyond ASCII whatever is UTF-8 and no control character.
_PLAIN = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]*")


def immediate_response(answer: Respond, trace_id: str, *, grpc: bool) -> wire.ProcessingResponse:
    """The message that answers the request in place of the application.

    Args:
        answer: What the client gets.
        trace_id: 32 hex digits, on the page and in the header x-trace-id.
        grpc: True when the client speaks gRPC, so that the answer needs a grpc-status.
    """
    response = wire.ProcessingResponse()
    reply = response.immediate_response
    reply.status.code = answer.status
    reply.details = answer.reason
    if grpc:
        reply.grpc_status.status = _GRPC_STATUS.get(answer.status, GRPC_UNAVAILABLE)
    for name, value in _headers(answer, trace_id):
        set_header(reply.headers, name, value)
    for cookie in answer.cookies:
        set_header(reply.headers, "set-cookie", cookie.header(), append=True)
    if answer.json is not None:
        reply.body = answer.json.encode()
    elif answer.page is not None and answer.html:
        error = answer.status >= 400
        reply.body = pages.html(answer.page, answer.reason, trace_id, error=error)
    elif answer.page is not None:
        reply.body = pages.problem(
            answer.page, answer.status, answer.reason, trace_id, answer.login_url
        )
    return response


def set_header(
    mutation: wire.HeaderMutation,
    name: str,
    value: str,
    *,
    append: bool = False,
    utf8: bool = False,
) -> None:
    """Set a header, or append a value to it. With utf8 the value may have characters beyond ASCII.

    Envoy honours raw_value only, and of the ways to append only `append`. One CR or LF would make
    it drop the whole mutation, so a value with one is a bug here.

    Raises: ValueError when no header may hold the value.
    """
    if not (_PLAIN if utf8 else _VALUE).fullmatch(value):
        raise ValueError(f"a value for the header {name} holds what no header may")
    option = mutation.set_headers.add()
    option.header.key = name
    option.header.raw_value = value.encode()
    if append:
        option.append.value = True


def _headers(answer: Respond, trace_id: str) -> list[tuple[str, str]]:
    headers = [
        ("cache-control", "no-store"),
        ("referrer-policy", _referrer_policy(answer)),
        ("x-content-type-options", "nosniff"),
        ("x-trace-id", trace_id),
    ]
    if answer.clear_cache:
        # W3C Clear Site Data section 3.1; the quotes are part of it
        headers.append(("clear-site-data", '"cache"'))
    if answer.location is not None:
        headers.append(("location", answer.location))
    if answer.json is not None:
        headers.append(("content-type", "application/json"))
    elif answer.page is not None and answer.html:
        headers.append(("content-type", "text/html; charset=utf-8"))
        headers.append(("content-security-policy", pages.csp(answer.framed_by)))
    elif answer.page is not None:
        headers.append(("content-type", "application/problem+json"))
    if answer.retry_after is not None:
        headers.append(("retry-after", str(answer.retry_after)))
    if answer.allow is not None:
        headers.append(("allow", answer.allow))
    if answer.status == 401 or answer.bearer is not None:
        headers.append(("www-authenticate", _challenges(answer)))
    return headers


def _challenges(answer: Respond) -> str:
    """How the client can do better (RFC 9110 section 15.5.2). No browser opens a password box for
    these schemes. Bearer is the first: some of its clients look at no other one.
    """
    login_url = f'login_url="{answer.login_url}"' if answer.login_url else ""
    parameters = ", ".join(filter(None, (login_url, answer.challenge)))
    of_session = f"OIDC {parameters}".rstrip()
    if answer.bearer is None:
        return of_session
    return f"Bearer {answer.bearer}" + (f", {of_session}" if parameters else "")


def _referrer_policy(answer: Respond) -> str:
    """Send no address of these pages anywhere, above all no callback's.

    A page with a form sends its own origin, to its own origin only: under no-referrer a browser
    posts the form with `Origin: null`, as any other page could (Fetch, "append a request Origin
    header").
    """
    has_form = (
        answer.page is not None and answer.html and (answer.page.posts or bool(answer.page.cards))
    )
    return "same-origin" if has_form else "no-referrer"
