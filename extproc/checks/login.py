"""A login as a browser would begin it: through the gateway, up to the page where the provider asks
who it is. No password is sent.

Each request is a Hop, each thing that was looked at a Finding; the first that is wrong ends the
walk.
"""

import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx

from extproc.checks.browser import Browser, Hop, without_values
from extproc.checks.findings import Finding, error, ok, warning
from extproc.core.endpoints import CALLBACK, LOGIN, url_of
from extproc.core.http import CookieNames
from extproc.settings import Settings

HOPS = 10  # at the provider
_REASON = re.compile(r"<dd>([a-z][a-z0-9_]{2,60})</dd>|\"reason\": ?\"([a-z][a-z0-9_]{2,60})\"")
_REDIRECT = re.compile(r"redirect[_ ]?(?:uri|url)|reply url|callback url", re.IGNORECASE)
_CLIENT = re.compile(
    r"(?:invalid|unknown|unauthorized|not found).{0,40}client"
    r"|client.{0,40}(?:invalid|unknown|not found|disabled|unauthorized)",
    re.I | re.S,
)
_FORM = re.compile(r"<(?:form|input|script)\b", re.IGNORECASE)


def walk(settings: Settings, name: str, ca: Path | None = None) -> Iterator[Hop | Finding]:
    """name: the application. ca: what else certificates are verified with, such as the gateway's
    own.
    """
    part = f"login of {name}"
    try:
        with Browser(verify=_trust(settings, ca)) as browser:
            yield from _walk(settings, name, browser, part)
    except httpx.HTTPError as problem:
        yield _failed(problem, part)
    except OSError as problem:
        yield error(
            part,
            f"a certificate file cannot be used: {problem.strerror or problem}",
            "see ca_file, and --ca",
        )


def _walk(settings: Settings, name: str, browser: Browser, part: str) -> Iterator[Hop | Finding]:
    location = None
    for each in _begin(settings, name, browser, part):
        if isinstance(each, str):
            location = each
        else:
            yield each
    if location is not None:
        yield from _at_provider(settings, name, browser, location, part)


def _trust(settings: Settings, ca: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for file in (ca, *(provider.ca_file for provider in settings.providers.values())):
        if file is not None:
            context.load_verify_locations(file)
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
    why = (
        "no answer in time"
        if isinstance(problem, httpx.TimeoutException)
        else str(problem) or type(problem).__name__
    )
    return error(
        part,
        f"{url} cannot be reached: {why}",
        "see that Envoy runs, and that the name leads to it from this machine",
    )


def _begin(
    settings: Settings, name: str, browser: Browser, part: str
) -> Iterator[Hop | Finding | str]:
    """The gateway's answer to a navigation; the address of the provider, where it is right."""
    start = settings.url(name)
    if settings.applications[name].path_prefix in settings.applications[name].public_paths:
        start = url_of(start, LOGIN)
    landing = browser.open(start, follow=False)
    yield _hop(landing.hops[0])
    answer, trace = landing.answer, landing.hops[0].trace_id
    if answer.status_code != 303:
        yield _no_redirect(answer, part, trace)
        return
    location = urljoin(start, answer.headers.get("location", ""))
    wrong = list(_wrong(settings, name, location, answer))
    for what in wrong:
        yield error(
            part,
            what,
            "the processor's settings are not these, or something between changes answers: "
            "see check's other lines",
        )
    if not wrong:
        yield ok(
            part, "303 to the provider with state, nonce, PKCE and redirect_uri, and a login cookie"
        )
        yield location


def _no_redirect(answer: httpx.Response, part: str, trace: str) -> Finding:
    found = _REASON.search(answer.text)
    reason = next(filter(None, found.groups()), "") if found else ""
    status = answer.status_code
    if status < 300:
        return error(
            part,
            f"the page came with {status} and without a login: nobody asked the processor",
            "compare Envoy's configuration with the generated one: `extproc check "
            "--envoy-admin URL`",
        )
    if reason:
        more = f", trace {trace}: `extproc explain {trace}`" if trace else ""
        return error(
            part,
            f"the processor answers {status} {reason}{more}",
            f"`extproc reasons {reason}` says what to do",
        )
    by_status = {
        421: (
            "Envoy serves no application on that host: generate its configuration again, see "
            "applications.hosts"
        ),
        404: "Envoy has no route for it: generate its configuration again",
        503: (
            "Envoy does not reach the processor: start `extproc serve`, see listen and "
            "gateway.processors"
        ),
        504: "the processor does not answer Envoy in time: see its log",
        401: (
            "something in front of Envoy changes requests: Sec-Fetch-Mode and Accept do not arrive"
        ),
    }
    return error(
        part,
        f"{status} in place of the redirect to the provider",
        by_status.get(status, "see whether it is this Envoy that answers there"),
    )


def _wrong(settings: Settings, name: str, location: str, answer: httpx.Response) -> Iterator[str]:
    """What of an authorization request is not as it has to be (RFC 6749 section 4.1.1, RFC 7636,
    OpenID Connect Core section 3.1.2.1).
    """
    provider = settings.providers[str(settings.applications[name].provider)]
    said = {
        key: values[0]
        for key, values in parse_qs(urlsplit(location).query).items()
        if len(values) == 1
    }
    wanted = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": url_of(settings.url(name), CALLBACK),
        "code_challenge_method": "S256",
    }
    for key, value in wanted.items():
        if said.get(key) != value:
            yield f"the authorization request has not {key} {value}"
    for key in ("state", "nonce", "code_challenge"):
        if len(said.get(key, "")) < 22:
            yield f"the authorization request has no {key} that cannot be guessed"
    if "openid" not in said.get("scope", "").split():
        yield "the authorization request does not ask for the scope openid"
    names = CookieNames(name, settings.url(name).startswith("https://"))
    lines = [
        line
        for line in answer.headers.get_list("set-cookie")
        if line.startswith(f"{names.logins}{name}-")
    ]
    needed = {"httponly", "samesite=lax", "path=/", *(("secure",) if names.secure else ())}
    if not any(needed <= {each.strip().lower() for each in line.split(";")} for line in lines):
        yield "there is no login cookie with HttpOnly, SameSite=Lax and Path=/" + (
            " and Secure" if names.secure else ""
        )


def _at_provider(
    settings: Settings, name: str, browser: Browser, location: str, part: str
) -> Iterator[Hop | Finding]:
    callback = url_of(settings.url(name), CALLBACK)
    for _ in range(HOPS):
        if location.partition("?")[0] == callback:
            yield _came_back(settings, name, location, part)
            return
        landing = browser.open(location, follow=False)
        yield _hop(landing.hops[0])
        if not landing.answer.is_redirect:
            yield _page(settings, name, landing.answer, part)
            return
        location = urljoin(location, landing.answer.headers["location"])
    yield error(
        part,
        f"the provider sends the browser on for more than {HOPS} times",
        "see the provider's log",
    )


def _came_back(settings: Settings, name: str, location: str, part: str) -> Finding:
    said = parse_qs(urlsplit(location).query)
    if "error" not in said:
        return ok(
            part,
            "the provider sends the browser back with a code, without asking anybody; the "
            "callback is not called",
        )
    code = said["error"][0] if re.fullmatch(r"[a-z_]{1,60}", said["error"][0]) else "an error"
    remedy = f"`extproc reasons provider_{code}` says what to do; the provider's log says more"
    return error(part, f"the provider sends the browser back with {code}", remedy)


def _page(settings: Settings, name: str, answer: httpx.Response, part: str) -> Finding:
    """Providers say what is wrong with a client in a page of their own, each in its words."""
    client = settings.providers[str(settings.applications[name].provider)].client_id
    callback, status, text = (
        url_of(settings.url(name), CALLBACK),
        answer.status_code,
        answer.text[:200_000],
    )
    if status < 400 and _FORM.search(text):
        return ok(part, "the provider shows its login page")
    if _REDIRECT.search(text):
        return error(
            part,
            f"the provider refuses redirect_uri ({status})",
            f"register {callback} as a redirect URI of the client {client}, byte for byte",
        )
    if _CLIENT.search(text):
        return error(
            part,
            f"the provider refuses client_id ({status})",
            f"see that a client {client} is registered there, in that realm or tenant, and enabled",
        )
    if status >= 500:
        return error(part, f"the provider answers {status}", "see the provider's log")
    if status >= 400:
        return error(
            part,
            f"the provider answers {status} in place of its login page",
            f"open it in a browser to read why; often redirect_uri {callback} or the client "
            f"{client} is not registered",
        )
    return warning(
        part,
        f"the provider answers {status} with a page that has no form",
        "open the application in a browser to see it",
    )


def _hop(hop: Hop) -> Hop:
    """`shown` without any value."""
    return Hop(hop.status, hop.method, hop.url, without_values(hop.url), hop.trace_id)
