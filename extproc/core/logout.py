"""Logout that the user starts at the application (OpenID Connect RP-Initiated Logout 1.0)."""

from collections.abc import Mapping
from urllib.parse import urlencode

from extproc.core.application import Application
from extproc.core.cookies import Cookie
from extproc.core.endpoints import SIGNED_OUT, parameter
from extproc.core.http import Request
from extproc.core.login import chosen_page
from extproc.core.navigation import is_report
from extproc.core.oidc.metadata import ProviderMetadata
from extproc.core.sealing import Label
from extproc.core.session import Session
from extproc.core.session_cookie import data_names

# Characters of an address at the provider: many servers and proxies refuse longer ones.
MAX_URL = 2048
# characters of the page to which a logout leads back
MAX_PAGE = 512


def end_session_url(
    application: Application,
    metadata: ProviderMetadata,
    session: Session,
    state: str,
    page_state: str = "",
) -> str | None:
    """The URL at which the browser ends the session at the provider, to return to signed_out_url()
    (section 2); None if the provider has no such endpoint, or the settings do not use it. An ID
    token that would make it longer than MAX_URL is left out.

    Args:
        application: the application that the user signed out of.
        metadata: the provider's endpoints.
        session: the session that was ended.
        state: a value that the provider returns unchanged.
        page_state: a longer one that counts in place of it, see sealed_page(), unless the ID token
            would have to be left out for it.
    """
    endpoint = metadata.end_session_endpoint
    if endpoint is None or application.end_session == "off":
        return None
    client_id = application.client.client_id
    if application.end_session == "logout_uri":
        return _with_query(
            endpoint, {"client_id": client_id, "logout_uri": signed_out_url(application)}
        )
    parameters = {
        "client_id": client_id,
        "post_logout_redirect_uri": signed_out_url(application),
    }
    for each in filter(None, (page_state, state)):
        hinted = {"id_token_hint": session.id_token, **parameters, "state": each}
        url = _with_query(endpoint, hinted)
        if len(url) <= MAX_URL:
            return url
    # client_id stands for the hint, which is recommended and not required.
    return _with_query(endpoint, {**parameters, "state": page_state or state})


def _with_query(endpoint: str, parameters: Mapping[str, str]) -> str:
    separator = "&" if "?" in endpoint else "?"
    return f"{endpoint}{separator}{urlencode(parameters)}"


def signed_out_url(application: Application) -> str:
    """The URL of the page after a logout, which is registered at the provider as a
    post_logout_redirect_uri.
    """
    return application.origin + application.endpoints + SIGNED_OUT


def sealed_page(application: Application, page: str, entropy: bytes) -> str:
    """The page at which the user can sign in again after a logout, as the `state` that the provider
    returns to signed_out_url(). It is sealed, because no provider has to know what the user
    requested.

    entropy: 44 random bytes that are used only once.
    """
    return application.ring.seal(page.encode(), _label(application), entropy)


def opened_page(application: Application, request: Request) -> str | None:
    """The page of sealed_page() in the query of a request for signed_out_url(); None if there is
    none.
    """
    sealed = parameter(request, "state")
    opened = application.ring.open(sealed, _label(application))
    return chosen_page(application, opened.decode()) if opened is not None else None


def page_after(application: Application, request: Request) -> str:
    """The page of `return_to` at which the user can sign in again after the logout that a request
    asks for; "" for the start page, and for one that is too long to be kept.
    """
    target = parameter(request, "return_to")
    page = chosen_page(application, target) if target else ""
    return page if len(page) <= MAX_PAGE else ""


def _label(application: Application) -> Label:
    return Label("logout", application.name)


def may_post(application: Application, request: Request) -> bool:
    """Whether a POST comes from the application's own origin.

    Browsers always send Sec-Fetch-Site to trustworthy origins. Without it the Origin header counts.
    """
    if is_report(request):
        return False
    site = request.header("sec-fetch-site")
    return site == "same-origin" if site else request.header("origin") == application.origin


def expired(application: Application, request: Request) -> tuple[Cookie, ...]:
    """The expiry of the request's session cookies, including cookies that open no session, because
    browsers would otherwise send them for ever.

    A cookie that came with several values stays: one of them was planted, and another may be the
    browser's own session.
    """
    names = application.cookies
    single = (name for name in (names.session, names.assertion) if request.cookie(name) is not None)
    return tuple(names.expired(name) for name in (*single, *data_names(application, request)))
