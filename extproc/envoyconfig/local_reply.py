"""Envoy's own answers: the page or the document of an error that neither the processor nor an
application answered, and headers of all of them.

The processor's answers are local replies to Envoy, too; their bodies stay. A browser gets a page, a
gRPC client a short text, and every other client a problem document (RFC 9457). Each has the request
id, by which `extproc explain` and the trace page find the request. Envoy's own texts are replaced,
because they name addresses and library errors, which are not for users.
"""

from collections.abc import Iterator

from envoy_data_plane.envoy.config.accesslog.v3 import (
    AccessLogFilter,
    ComparisonFilterOp,
    HeaderFilter,
    ResponseFlagFilter,
)
from envoy_data_plane.envoy.config.core.v3 import HeaderValueOption, SubstitutionFormatString
from envoy_data_plane.envoy.config.route.v3 import HeaderMatcher
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    LocalReplyConfig,
    ResponseMapper,
)
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher
from envoy_data_plane.google.protobuf import Struct

from extproc.contract import DECISION, REASON
from extproc.envoyconfig.builders import IF_ABSENT, header, regex, text
from extproc.envoyconfig.log_filters import all_of, metadata_is, status
from extproc.envoyconfig.virtual_hosts import hsts
from extproc.pages.gateway import (
    CONTENT_SECURITY_POLICY,
    REQUEST_ID,
    STATUS,
    GatewayError,
    gateway_page,
)
from extproc.settings import Settings

# Response flags of trouble with an upstream (Envoy's documentation of %RESPONSE_FLAGS%).
_UPSTREAM_TROUBLE = [
    "LH",
    "UH",
    "UT",
    "LR",
    "UR",
    "UF",
    "UC",
    "UO",
    "NC",
    "URX",
    "UPE",
    "DF",
    "UMSDR",
]
_UNREACHABLE = GatewayError(
    "The application does not answer",
    "The application behind this address cannot be reached at the moment. Please try again in a "
    "moment.",
    "retry",
)
_NO_SIGN_IN = GatewayError(
    "Signing in is not possible right now",
    "The sign-in service does not answer at the moment. Please try again in a moment.",
    "retry",
)
_TOO_LATE = GatewayError(
    "No answer in time", "The answer took too long. Please try again.", "retry"
)
# By status; the first row that fits decides, and the last ones take the rest.
_ERRORS = {
    400: GatewayError(
        "This address is not accepted",
        "The address of this page, or the request for it, is written in a way that is not accepted "
        "here. If it came from a link, the link may be broken.",
        "home",
    ),
    403: GatewayError("No access", "This request is not allowed here.", "home"),
    404: GatewayError("Page not found", "There is nothing at this address.", "home"),
    405: GatewayError("Not possible here", "This address does not accept this kind of request."),
    408: _TOO_LATE,
    413: GatewayError("Too much data", "The request is larger than is accepted here."),
    421: GatewayError(
        "Wrong address", "No site of this name is served here. Please check the address."
    ),
    # It should have the header Upgrade (RFC 9110 section 15.5.22), but Envoy takes that out of
    # every response but that to a WebSocket's request.
    426: GatewayError(
        "An old version of HTTP",
        "Your program, or a server on the way, speaks HTTP/1.0. HTTP/1.1 or newer is needed here.",
    ),
    429: GatewayError(
        "Too many requests",
        "Many requests came from your network in a short time. Please wait a moment and try again.",
        "retry",
    ),
    431: GatewayError(
        "Too many cookies",
        "Your browser sent more cookies, or a longer address, than is accepted here. Delete the "
        "cookies of this site and try again.",
        "retry",
    ),
    503: _NO_SIGN_IN,
    504: _TOO_LATE,
}
_BROKEN = GatewayError("Something went wrong", "Please try again in a moment.", "retry")
_REFUSED = GatewayError("The request was refused", "The server did not accept this request.")
_ID = "%REQ(X-REQUEST-ID)%"


def local_replies(settings: Settings, *, secure: bool) -> LocalReplyConfig:
    """The mappers of local replies; the first that matches decides.

    No cache may keep a local reply, and each has its request id. Strict-Transport-Security is for
    https alone (RFC 6797 section 7.2).

    Args:
        settings: the settings.
        secure: the clients of the listener use https.
    """
    headers = [header("x-request-id", _ID, IF_ABSENT)]
    if secure:
        headers += hsts(settings)
    # First what most local replies are: redirects, and refusals of the processor.
    success = status(399, ComparisonFilterOp.LE)
    # A request that the processor let pass may have a reason as well.
    refused = all_of(metadata_is(REASON, regex(".+")), metadata_is(DECISION, None))
    kept = [*headers, header("cache-control", "no-store", IF_ABSENT)]
    mappers = [ResponseMapper(filter=each, headers_to_add=kept) for each in (success, refused)]
    # The route may have written the Cache-Control of a page of the application's already.
    headers.append(header("cache-control", "no-store"))
    mappers.append(_for_grpc(headers))
    for condition, error, more in _rows():
        mappers.append(_page(condition, error, [*headers, *more]))
        mappers.append(_document(condition, error, [*headers, *more]))
    return LocalReplyConfig(mappers=mappers)


def _rows() -> Iterator[tuple[AccessLogFilter, GatewayError, list[HeaderValueOption]]]:
    """Each kind of error: its condition, its words, and headers of its own.

    A 503 asks the client to try again, because neither the processor nor an application has seen
    the request, or the application is about to be back.
    """
    again = [header("retry-after", "2", IF_ABSENT)]
    trouble = AccessLogFilter(response_flag_filter=ResponseFlagFilter(flags=_UPSTREAM_TROUBLE))
    yield all_of(status(504, ComparisonFilterOp.EQ), trouble), _TOO_LATE, []
    yield trouble, _UNREACHABLE, again
    for number, error in _ERRORS.items():
        yield status(number, ComparisonFilterOp.EQ), error, again if number == 503 else []
    yield status(500), _BROKEN, []
    yield status(400), _REFUSED, []


def _page(
    condition: AccessLogFilter, error: GatewayError, headers: list[HeaderValueOption]
) -> ResponseMapper:
    """The page, for clients that accept HTML.

    Envoy makes the request id, except where it refuses a request before: then it may be the
    client's own, so a page shows it only if it looks like one of Envoy's.
    """
    accepts = HeaderMatcher(name="accept", string_match=StringMatcher(contains="text/html"))
    harmless = HeaderMatcher(
        name="x-request-id",
        string_match=regex("(?:[0-9a-f-]{36})?"),
        treat_missing_header_as_empty=True,
    )
    return ResponseMapper(
        filter=all_of(condition, *(_header(each) for each in (accepts, harmless))),
        body_format_override=SubstitutionFormatString(
            text_format_source=text(_filled(gateway_page(error))),
            content_type="text/html; charset=utf-8",
        ),
        headers_to_add=[
            *headers,
            header("content-security-policy", CONTENT_SECURITY_POLICY),
            header("x-content-type-options", "nosniff"),
            header("referrer-policy", "no-referrer"),
        ],
    )


def _filled(page: str) -> str:
    """The page as a format string, in which a plain % is written twice."""
    doubled = page.replace("%", "%%")
    return doubled.replace(STATUS, "%RESPONSE_CODE%").replace(REQUEST_ID, _ID)


def _document(
    condition: AccessLogFilter, error: GatewayError, headers: list[HeaderValueOption]
) -> ResponseMapper:
    document = {
        "type": "about:blank",
        "title": error.title,
        "status": "%RESPONSE_CODE%",
        "detail": error.text,
        "request_id": _ID,
    }
    return ResponseMapper(
        filter=condition,
        body_format_override=SubstitutionFormatString(
            json_format=Struct.from_dict(document), content_type="application/problem+json"
        ),
        headers_to_add=[*headers, header("x-content-type-options", "nosniff")],
    )


def _for_grpc(headers: list[HeaderValueOption]) -> ResponseMapper:
    """Envoy makes a grpc-message of the body."""
    grpc = HeaderMatcher(name="content-type", string_match=StringMatcher(prefix="application/grpc"))
    body = text(f"Error %RESPONSE_CODE%, request id {_ID}")
    return ResponseMapper(
        filter=_header(grpc),
        body_format_override=SubstitutionFormatString(text_format_source=body),
        headers_to_add=headers,
    )


def _header(matcher: HeaderMatcher) -> AccessLogFilter:
    return AccessLogFilter(header_filter=HeaderFilter(header=matcher))
