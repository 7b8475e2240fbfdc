"""Checks a provider over the network: whether it is reachable, its clock, and its metadata."""

import email.utils
import ssl
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx

from extproc.checks.failures import failure, speaks_no_tls
from extproc.checks.findings import Finding, error, ok, warning
from extproc.checks.lint import serving
from extproc.checks.provider_metadata import check_metadata
from extproc.settings import ProviderSettings, Settings
from extproc.settings.files import client_context

# Seconds: a Date header has whole seconds, and the response takes time to arrive.
_CLOCK_RESOLUTION = 2.0


class _UnusableResponse(Exception):
    """A response to the discovery request that is not metadata; it becomes one finding."""

    def __init__(self, what: str, remedy: str) -> None:
        self.what = what
        self.remedy = remedy


def check_provider(settings: Settings, name: str) -> Iterator[Finding]:
    """Findings about the provider of that name."""
    provider, part = settings.providers[name], f"providers.{name}"
    try:
        with provider_client(settings, provider) as client:
            asked = time.time()
            response = _discover(client, provider.discovery_url)
            answered = time.time()
            yield from _clock(settings, response, (asked + answered) / 2, part)
            yield from check_metadata(settings, name, client, response)
    except _UnusableResponse as problem:
        yield error(f"{part}.issuer", problem.what, problem.remedy)
    except (httpx.InvalidURL, UnicodeError):
        yield error(
            f"{part}.issuer",
            f"{provider.backchannel_url or provider.issuer} is no address that can be called",
            "correct its host",
        )
    except httpx.HTTPError as problem:
        yield _unreachable(settings, provider, part, problem)
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
        yield error(
            f"{part}.ca_file",
            f"{provider.ca_file} cannot be used: {reason}",
            "name a PEM file with the authority of the provider's certificate",
        )


def provider_client(settings: Settings, provider: ProviderSettings) -> httpx.Client:
    """A client for requests to a provider, with its settings. Raises OSError for its ca_file."""
    timeouts = settings.timeouts
    return httpx.Client(
        verify=client_context(provider.ca_file),
        trust_env=provider.trust_env,
        follow_redirects=False,
        timeout=httpx.Timeout(timeouts.call, connect=timeouts.connect),
        headers={
            "user-agent": "extproc",
            "accept": "application/json",
            "accept-encoding": "identity",
        },
    )


def _discover(client: httpx.Client, url: str) -> httpx.Response:
    response = client.get(url)
    if response.status_code != 200:
        redirects = " (redirects are not followed)" if response.is_redirect else ""
        raise _UnusableResponse(
            f"{url} answers {response.status_code}{redirects}",
            "compare issuer with the provider's own page, its path included; if the document is "
            "elsewhere, set metadata_url; behind a proxy see backchannel_url",
        )
    return response


def _unreachable(
    settings: Settings, provider: ProviderSettings, part: str, problem: httpx.HTTPError
) -> Finding:
    url = provider.discovery_url
    what = f"{urlsplit(url).netloc} is not reachable from this machine: {failure(problem)}"
    if serving(settings, url) is not None:
        return warning(
            f"{part}.issuer", what, "it is behind this gateway: start Envoy, then check again"
        )
    if speaks_no_tls(str(problem)):
        remedy = "begin the address with http:// if it is on loopback, or give the server TLS"
    elif _is_certificate_problem(problem):
        remedy = "set ca_file to the authority that the provider's certificate is from"
    else:
        remedy = (
            "check that its name resolves, and that this machine may connect to it (a proxy: "
            "trust_env; --offline leaves the network out)"
        )
    return error(f"{part}.issuer", what, remedy)


def _is_certificate_problem(problem: httpx.HTTPError) -> bool:
    cause = problem.__context__ or problem.__cause__
    return isinstance(cause, ssl.SSLError) or "CERTIFICATE" in str(problem)


def _clock(
    settings: Settings, response: httpx.Response, now: float, part: str
) -> Iterator[Finding]:
    """A finding about the provider's clock, from its Date header (RFC 9110 section 6.6.1).

    Args:
        settings: for timeouts.clock_skew.
        response: a response of the provider.
        now: seconds since the epoch, halfway between request and response.
        part: the finding's part.
    """
    try:
        header = response.headers.get("date", "")
        # The timestamp of a date far in the future raises ValueError or OverflowError as well.
        date = email.utils.parsedate_to_datetime(header).timestamp()
    except (ValueError, OverflowError):
        return
    ahead = date - now
    allowed = settings.timeouts.clock_skew
    direction = "ahead of" if ahead > 0 else "behind"
    what = f"its clock is {abs(ahead):.0f} s {direction} this machine's"
    if abs(ahead) <= _CLOCK_RESOLUTION:
        yield ok(part, "its clock agrees with this machine's")
    elif abs(ahead) > allowed:
        yield error(
            part,
            f"{what}, more than timeouts.clock_skew, {allowed:g} s: ID tokens are refused",
            "run an NTP client on both machines",
        )
    else:
        yield warning(
            part,
            what,
            "run an NTP client on both machines before it becomes more than timeouts.clock_skew",
        )
