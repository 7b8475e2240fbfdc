"""Failures of HTTP requests in words, for findings."""

import re

import httpx

_NUMBER = re.compile(r"^\[Errno -?\d+\] ")
# What OpenSSL calls the answer of a server that does not speak TLS.
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")


def speaks_no_tls(problem: str) -> bool:
    """Whether a failed handshake means that the server speaks something else, most likely http."""
    shouted = problem.upper().replace(" ", "_")
    return any(reason in shouted for reason in _NO_TLS)


def _asked_in_plain_http(problem: httpx.RemoteProtocolError) -> bool:
    try:
        return problem.request.url.scheme == "http"
    except RuntimeError:
        # It is not known which request it was.
        return False


def failure(problem: httpx.HTTPError) -> str:
    """Why a request got no response."""
    if isinstance(problem, httpx.TimeoutException):
        return "no answer in time"
    if speaks_no_tls(str(problem)):
        return "it speaks http, not TLS"
    if isinstance(problem, httpx.RemoteProtocolError) and _asked_in_plain_http(problem):
        return "it does not answer as an http server does; perhaps it speaks TLS, which is https"
    # The number says nothing to an operator.
    return _NUMBER.sub("", str(problem)) or type(problem).__name__
