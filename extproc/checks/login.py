"""Begins a login as a browser would: through the gateway, up to the provider's login page. No
password is sent. Then the client's credentials are tried with a code that does not exist.

`walk` yields a Hop for each request and a Finding for each check; the first error ends the walk.
"""

import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import httpx

from extproc.checks.browser import Browser, Hop, without_values
from extproc.checks.client_credentials import check_credentials
from extproc.checks.failures import failure
from extproc.checks.findings import Finding, error, ok
from extproc.checks.login_answers import (
    callback_finding,
    no_redirect_finding,
    page_finding,
    request_faults,
)
from extproc.core.endpoints import CALLBACK, LOGIN, url_of
from extproc.settings import Settings
from extproc.settings.files import trust_also

HOPS = 10  # redirects at the provider


def walk(settings: Settings, name: str, ca: Path | None = None) -> Iterator[Hop | Finding]:
    """The hops and findings of a login.

    Args:
        settings: the settings of the gateway.
        name: the application to sign in to.
        ca: a file with another authority to trust, such as the gateway's own.
    """
    part = f"login of {name}"
    try:
        with Browser(verify=_trust(settings, ca)) as browser:
            login = _Login(settings, name, browser)
            yield from login.begin()
            if login.location is not None:
                yield from login.at_provider(login.location)
                if not login.refused:
                    yield from check_credentials(settings, name)
    except httpx.HTTPError as problem:
        yield _failed(problem, part)
    except OSError as problem:
        yield error(
            part,
            f"the certificate file {problem.filename} cannot be used: {problem.strerror}",
            "see ca_file, and --ca",
        )


def _trust(settings: Settings, ca: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for file in (ca, *(provider.ca_file for provider in settings.providers.values())):
        if file is not None:
            trust_also(context, file)
    return context


def _failed(problem: httpx.HTTPError, part: str) -> Finding:
    try:
        url = without_values(str(problem.request.url))
    except RuntimeError:
        url = "an address"
    if "CERTIFICATE_VERIFY_FAILED" in str(problem):
        return error(
            part,
            f"the certificate of {url} is not trusted here",
            "name its authority: --ca FILE for the gateway, ca_file for a provider",
        )
    return error(
        part,
        f"{url} is not reachable: {failure(problem)}",
        "check that Envoy runs, and that the name leads to it from this machine",
    )


class _Login:
    """One walk.

    `location` is the provider's address, once the gateway's redirect is right. `refused`: the
    provider does not show its login page.
    """

    def __init__(self, settings: Settings, name: str, browser: Browser) -> None:
        self.location: str | None = None
        self.refused = False
        self._settings = settings
        self._name = name
        self._browser = browser
        self._part = f"login of {name}"

    def begin(self) -> Iterator[Hop | Finding]:
        """The gateway's answer to a navigation."""
        start = self._settings.url(self._name)
        application = self._settings.applications[self._name]
        if application.path_prefix in application.public_paths:
            start = url_of(start, LOGIN)
        landing = self._browser.open(start, follow=False)
        hop, answer = landing.hops[0], landing.answer
        yield _without_values(hop)
        if answer.status_code != 303:
            yield no_redirect_finding(answer, self._part, hop.trace_id)
            return
        location = urljoin(start, answer.headers.get("location", ""))
        faults = list(request_faults(self._settings, self._name, location, answer))
        for fault in faults:
            yield error(
                self._part,
                fault,
                "the running processor has other settings, or something between it and the browser "
                "changes answers: see the other findings of check",
            )
        if not faults:
            yield ok(
                self._part,
                "303 to the provider with state, nonce, PKCE and redirect_uri, and a login cookie",
            )
            self.location = location

    def at_provider(self, location: str) -> Iterator[Hop | Finding]:
        """The provider's redirects, up to its page or back to the callback, which is not called."""
        callback = url_of(self._settings.url(self._name), CALLBACK)
        for _ in range(HOPS):
            if location.partition("?")[0] == callback:
                finding = callback_finding(location, self._part)
                self.refused = finding.level == "error"
                yield finding
                return
            landing = self._browser.open(location, follow=False)
            yield _without_values(landing.hops[0])
            if not landing.answer.is_redirect:
                finding = page_finding(self._settings, self._name, landing.answer, self._part)
                self.refused = finding.level == "error"
                yield finding
                return
            location = urljoin(location, landing.answer.headers["location"])
        self.refused = True
        yield error(
            self._part,
            f"the provider redirects the browser more than {HOPS} times",
            "see the provider's log",
        )


def _without_values(hop: Hop) -> Hop:
    """A hop whose `shown` has no value of a parameter."""
    return Hop(hop.status, hop.method, hop.url, without_values(hop.url), hop.trace_id)
