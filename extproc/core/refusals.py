"""The one place where a refusal becomes an answer, with the link of its page."""

import json
from dataclasses import replace

from extproc.core.application import Application
from extproc.core.bearer import challenge, is_by_token
from extproc.core.cookies import Cookie
from extproc.core.decisions import RedeemCode, Respond, Step
from extproc.core.endpoints import LOGIN, LOGOUT, url_of
from extproc.core.errors import (
    InsufficientAuthentication,
    LoginRequired,
    NotAllowed,
    Refusal,
    SessionEnded,
    Unavailable,
)
from extproc.core.http import Request
from extproc.core.login import requested_page, return_query
from extproc.core.logout import expired
from extproc.core.page import Page
from extproc.core.provider_logout import is_back_channel

# characters of a page's path in the address at which a client can sign in
MAX_LINKED = 1024


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
    if not isinstance(error, SessionEnded):
        return respond(error, application, request)
    answer = respond(error, application, request, expired(application, request))
    return replace(answer, clear_cache=application.clears_cache)


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
    """Answer a refused request with a page.

    The texts are those of the reason, so nothing that a client has written is on the page.

    Args:
        error: the refusal.
        application: the application of the request, if it is known.
        request: the request, if it is known.
        cookies: cookies that the browser gets.
    """
    link, link_text = _link(error, application, request)
    answer = Respond(
        error.status,
        error.reason,
        cookies=cookies,
        page=Page(error.row.title, error.row.text, link, link_text),
        retry_after=error.row.retry_after,
        html=request is None or "text/html" in request.header("accept").lower(),
        allow=error.detail if error.status == 405 else None,
        detail=error.detail,
    )
    if application is None:
        return answer
    if request is not None:
        answer = replace(answer, bearer=challenge(application, request, error))
        if is_by_token(application, request):
            # No page and no login helps a caller whose token is not accepted.
            return replace(answer, html=False)
    login_url = url_of(application.url, LOGIN) if isinstance(error, LoginRequired) else None
    demand = error.challenge if isinstance(error, InsufficientAuthentication) else None
    return replace(answer, login_url=login_url, challenge=demand)


def _link(
    error: Refusal, application: Application | None, request: Request | None
) -> tuple[str, str]:
    """Where the page of a refusal leads, and the text of that link."""
    if application is None:
        return _way_on(application, request)
    if isinstance(error, LoginRequired):
        return url_of(application.url, LOGIN) + _return_query(application, request), "Sign in"
    if isinstance(error, NotAllowed):
        link = url_of(application.url, LOGOUT) + _return_query(application, request)
        return link, "Sign in as somebody else"
    return _way_on(application, request)


def respond_to_provider(error: Refusal) -> Respond:
    """Answer a provider's own request that is refused (Back-Channel Logout section 2.8): with JSON,
    and without a cookie.
    """
    body = {
        "error": "invalid_request" if error.status < 500 else "temporarily_unavailable",
        "error_description": error.reason,
    }
    return Respond(
        error.status,
        error.reason,
        json=json.dumps(body),
        retry_after=error.row.retry_after,
        allow=error.detail if error.status == 405 else None,
        detail=error.detail,
    )


def _way_on(application: Application | None, request: Request | None) -> tuple[str, str]:
    """Where a page's link leads, and its text: the page that was requested once more, and from the
    processor's own endpoints, where the same request would end the same way, the start page.
    """
    if application is None:
        return "/", "Try again"
    if request is None or request.path.startswith(application.endpoints):
        return application.url, "Back to the application"
    return application.origin + requested_page(application, request), "Try again"


def _return_query(application: Application, request: Request | None) -> str:
    """The query with which a login returns to the page that was requested, or "" for what is no
    page of the application.
    """
    if request is None or request.method not in ("GET", "HEAD"):
        return ""
    if request.path.startswith(application.endpoints):
        return ""
    page = requested_page(application, request)
    # the address stands in a header as well
    return return_query(page) if len(page) <= MAX_LINKED else ""


def retry_login(application: Application, respond: Respond, return_to: str) -> Respond:
    """Change the link of an answer's page, so that it starts a new login that ends at return_to."""
    if respond.page is None:
        return respond
    link = url_of(application.url, LOGIN) + return_query(return_to)
    return replace(respond, page=replace(respond.page, link=link, link_text="Try again"))


def retry_callback(respond: Respond) -> Respond:
    """Change the link of an answer's page, so that it requests the same address again.

    That is for refusals that consumed nothing: a reload completes the login.
    """
    if respond.page is None:
        return respond
    return replace(respond, page=replace(respond.page, link=""))
