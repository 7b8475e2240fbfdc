"""Judges the answers during a login: the gateway's redirect, the provider's page, the callback."""

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx

from extproc.checks.findings import Finding, error, ok, warning
from extproc.core.cookies import CookieNames
from extproc.core.endpoints import CALLBACK, url_of
from extproc.settings import Settings

_REASON = re.compile(r"<dd>([a-z][a-z0-9_]{2,60})</dd>|\"reason\": ?\"([a-z][a-z0-9_]{2,60})\"")
_REDIRECT = re.compile(r"redirect[_ ]?(?:uri|url)|reply url|callback url", re.IGNORECASE)
_CLIENT = re.compile(
    r"(?:invalid|unknown|unauthorized|not found).{0,40}client"
    r"|client.{0,40}(?:invalid|unknown|not found|disabled|unauthorized)",
    re.IGNORECASE | re.DOTALL,
)
_FORM = re.compile(r"<(?:form|input|script)\b", re.IGNORECASE)
_ERROR_CODE = re.compile(r"[a-z_]{1,60}")
_LONGEST_PAGE = 200_000  # characters that are searched
_GUESSABLE = 22  # characters: 128 bits in base64url; a shorter value may be guessed

_REMEDIES = {
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
    401: "something in front of Envoy changes requests: Sec-Fetch-Mode and Accept do not arrive",
}


def no_redirect_finding(answer: httpx.Response, part: str, trace_id: str) -> Finding:
    """A finding about an answer of the gateway that is no redirect to the provider.

    Args:
        answer: the gateway's answer to a navigation.
        part: the finding's part.
        trace_id: of that request; '' where it is not known.
    """
    status = answer.status_code
    if status < 300:
        return error(
            part,
            f"the page came with {status} and without a login: Envoy did not call the processor",
            "compare Envoy's configuration with the generated one: `extproc check "
            "--envoy-admin URL`",
        )
    reason = _reason(answer.text)
    if reason:
        trace = f", trace {trace_id}: `extproc explain {trace_id}`" if trace_id else ""
        return error(
            part,
            f"the processor answers {status} {reason}{trace}",
            f"`extproc reasons {reason}` says what to do",
        )
    return error(
        part,
        f"{status} in place of the redirect to the provider",
        _REMEDIES.get(status, "check whether it is this Envoy that answers there"),
    )


def _reason(text: str) -> str:
    match = _REASON.search(text)
    return match[1] or match[2] if match else ""


def request_faults(
    settings: Settings, name: str, location: str, answer: httpx.Response
) -> Iterator[str]:
    """What is wrong with an authorization request, and with the cookie that comes with it.

    RFC 6749 section 4.1.1, RFC 7636, OpenID Connect Core section 3.1.2.1.

    Args:
        settings: the settings of the gateway.
        name: the application to sign in to.
        location: the authorization request.
        answer: the gateway's redirect to it.
    """
    provider = settings.providers[str(settings.applications[name].provider)]
    query = parse_qs(urlsplit(location).query)
    parameters = {key: values[0] for key, values in query.items() if len(values) == 1}
    wanted = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": url_of(settings.url(name), CALLBACK),
        "code_challenge_method": "S256",
    }
    for key, value in wanted.items():
        if parameters.get(key) != value:
            yield f"the authorization request does not have {key} {value}"
    for key in ("state", "nonce", "code_challenge"):
        if len(parameters.get(key, "")) < _GUESSABLE:
            yield f"the authorization request has no {key} that is hard to guess"
    if "openid" not in parameters.get("scope", "").split():
        yield "the authorization request does not ask for the scope openid"
    yield from _cookie_faults(settings, name, answer)


def _cookie_faults(settings: Settings, name: str, answer: httpx.Response) -> Iterator[str]:
    names = CookieNames(name, settings.url(name).startswith("https://"))
    needed = {"httponly", "samesite=lax", "path=/"}
    if names.secure:
        needed.add("secure")
    for line in answer.headers.get_list("set-cookie"):
        attributes = {attribute.strip().lower() for attribute in line.split(";")}
        if line.startswith(f"{names.logins}{name}-") and needed <= attributes:
            return
    secure = " and Secure" if names.secure else ""
    yield f"there is no login cookie with HttpOnly, SameSite=Lax and Path=/{secure}"


def callback_finding(location: str, part: str) -> Finding:
    """A finding about the provider's redirect back to the callback."""
    query = parse_qs(urlsplit(location).query)
    if "error" not in query:
        return ok(
            part,
            "the provider sends the browser back with a code, without asking the user; the "
            "callback is not called",
        )
    code = query["error"][0] if _ERROR_CODE.fullmatch(query["error"][0]) else "an error"
    return error(
        part,
        f"the provider sends the browser back with {code}",
        f"`extproc reasons provider_{code}` says what to do; the provider's log says more",
    )


def page_finding(settings: Settings, name: str, answer: httpx.Response, part: str) -> Finding:
    """A finding about the provider's page.

    Providers describe a fault in a page of their own, each in other words.

    Args:
        settings: the settings of the gateway.
        name: the application to sign in to.
        answer: the provider's page.
        part: the finding's part.
    """
    client = settings.providers[str(settings.applications[name].provider)].client_id
    callback = url_of(settings.url(name), CALLBACK)
    status, text = answer.status_code, answer.text[:_LONGEST_PAGE]
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
            f"check that a client {client} is registered there, in that realm or tenant, and "
            "enabled",
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
