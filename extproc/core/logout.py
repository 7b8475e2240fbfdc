"""Logout started here (OpenID Connect RP-Initiated Logout 1.0)."""

from urllib.parse import urlencode

from extproc.core.application import Application
from extproc.core.endpoints import SIGNED_OUT
from extproc.core.http import Cookie, Request
from extproc.core.navigation import is_report
from extproc.core.oidc.metadata import ProviderMetadata
from extproc.core.session import Session
from extproc.core.session_cookie import data_names


def end_session_url(
    application: Application, metadata: ProviderMetadata, session: Session, state: str
) -> str | None:
    """Where the browser ends the provider's session and comes back from; None where the provider
    offers none (section 2).
    """
    if metadata.end_session_endpoint is None:
        return None
    query = urlencode(
        {
            "id_token_hint": session.id_token,
            "client_id": application.client.client_id,
            "post_logout_redirect_uri": signed_out_url(application),
            "state": state,
        }
    )
    joint = "&" if "?" in metadata.end_session_endpoint else "?"
    return f"{metadata.end_session_endpoint}{joint}{query}"


def signed_out_url(application: Application) -> str:
    """The local page after a logout; register it at the provider as a post_logout_redirect_uri."""
    return application.origin + application.endpoints + SIGNED_OUT


def may_post(application: Application, request: Request) -> bool:
    """A logout by POST comes from our own origin. Browsers always write Sec-Fetch-Site on
    trustworthy origins; Origin is for the rest.
    """
    if is_report(request):
        return False
    site = request.header("sec-fetch-site")
    return site == "same-origin" if site else request.header("origin") == application.origin


def expired(application: Application, request: Request) -> tuple[Cookie, ...]:
    """Expires the cookies of a session that is over. One that opened no session is expired too, or
    it would be sent for ever.

    A cookie that came with several values stays: somebody planted one of that name, and the other
    may be the browser's own session.
    """
    names = application.cookies
    single = (name for name in (names.session, names.assertion) if request.cookie(name) is not None)
    return tuple(names.expired(name) for name in (*single, *data_names(application, request)))
