"""The one place where a refusal becomes an answer, and the links by which its page leads on."""

import json
from dataclasses import replace
from urllib.parse import quote

from extproc.core.application import Application
from extproc.core.decisions import RedeemCode, Respond, Step
from extproc.core.endpoints import LOGIN, url_of
from extproc.core.errors import (
    InsufficientAuthentication,
    LoginRequired,
    Refusal,
    SessionEnded,
    Unavailable,
)
from extproc.core.http import Cookie, Request
from extproc.core.login import return_target
from extproc.core.logout import expired
from extproc.core.page import Page
from extproc.core.provider_logout import is_back_channel


def refuse(
    application: Application | None, request: Request, error: Refusal, step: Step | None = None
) -> Respond:
    """The answer to a refusal, whatever the request and the step.

    Args:
        application: The request's application; None when the settings have none of its name.
        request: The refused request.
        error: Why it is refused.
        step: The step in which it was refused; None before any step.
    """
    if application is None:
        return respond(error, None, request)
    if is_back_channel(application, request):
        return respond_to_provider(error)
    if isinstance(step, RedeemCode):
        return _refuse_callback(application, request, error, step)
    cookies = expired(application, request) if isinstance(error, SessionEnded) else ()
    return respond(error, application, request, cookies)


def _refuse_callback(
    application: Application, request: Request, error: Refusal, step: RedeemCode
) -> Respond:
    """The answer to a callback that is refused.

    A callback that can be tried again keeps its login cookie, and its page's link repeats it. Any
    other callback is over: its login cookie is expired, and the link starts the login again.
    """
    if isinstance(error, Unavailable):
        return retry_callback(respond(error, application, request))
    cookies = application.cookies
    spent = cookies.expired(cookies.login(step.pending.attempt))
    answer = respond(error, application, request, (spent,))
    return retry_login(application, answer, step.pending.return_to)


def respond(
    error: Refusal,
    application: Application | None,
    request: Request | None,
    cookies: tuple[Cookie, ...] = (),
) -> Respond:
    """The one place where a refusal becomes an answer. Its text is fixed; the reason code and the
    trace id are all that varies.
    """
    home = application.url if application is not None else "/"
    login_url = None
    if isinstance(error, LoginRequired) and application is not None:
        login_url = url_of(home, LOGIN)
    return Respond(
        error.status,
        error.reason,
        cookies=cookies,
        page=Page(
            error.said.title,
            error.said.text,
            (login_url + _back(application, request) if login_url else None)
            or _retry(application, request)
            or home,
            "Sign in" if login_url else "Try again",
        ),
        retry_after=error.said.retry_after,
        login_url=login_url,
        challenge=error.challenge if isinstance(error, InsufficientAuthentication) else None,
        html=request is None or "text/html" in request.header("accept").lower(),
        allow=error.detail if error.status == 405 else None,
        detail=error.detail,
    )


def respond_to_provider(error: Refusal) -> Respond:
    """The same to a provider that asked by itself (Back-Channel Logout section 2.8): JSON, and no
    cookie.
    """
    said = {
        "error": "invalid_request" if error.status < 500 else "temporarily_unavailable",
        "error_description": error.reason,
    }
    allow = error.detail if error.status == 405 else None
    return Respond(
        error.status,
        error.reason,
        json=json.dumps(said),
        retry_after=error.said.retry_after,
        allow=allow,
        detail=error.detail,
    )


def _retry(application: Application | None, request: Request | None) -> str | None:
    """Where a page's retry link goes: the login is started anew for a callback; any other page is
    asked for again.
    """
    if application is None or request is None:
        return None
    if not request.path.startswith(application.endpoints):
        target = return_target(application, request.target)
        return application.origin + target
    return None


def _back(application: Application | None, request: Request | None) -> str:
    """What the login's link says of the page that was wanted, where there is one."""
    if application is None or request is None or request.method not in ("GET", "HEAD"):
        return ""
    if request.path.startswith(application.endpoints):
        return ""
    return _returning(return_target(application, request.target))


def _returning(target: str) -> str:
    return f"?return_to={quote(target, safe='/')}"


def retry_login(application: Application, respond: Respond, return_to: str) -> Respond:
    """The same answer with a link that starts the login again for the page that was wanted."""
    if respond.page is None:
        return respond
    link = url_of(application.url, LOGIN) + _returning(return_to)
    return replace(respond, page=replace(respond.page, link=link, link_text="Try again"))


def retry_callback(respond: Respond) -> Respond:
    """The same answer with a link that asks for this very address again: nothing was consumed, so a
    reload completes the login.
    """
    return (
        replace(respond, page=replace(respond.page, link=""))
        if respond.page is not None
        else respond
    )
