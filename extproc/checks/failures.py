"""Failures of HTTP requests in words, for findings."""

import httpx


def failure(problem: httpx.HTTPError) -> str:
    """Why a request got no response."""
    if isinstance(problem, httpx.TimeoutException):
        return "no answer in time"
    return str(problem) or type(problem).__name__
