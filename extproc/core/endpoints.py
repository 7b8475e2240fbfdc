"""The names of the processor's own endpoints, below `<path_prefix>oauth2/` of each application."""

from extproc.core.http import Request, parameters

ENDPOINTS = "oauth2/"

LOGIN = "login"
CALLBACK = "callback"
LOGOUT = "logout"
SIGNED_OUT = "signed-out"
USERINFO = "userinfo"
SESSIONS = "sessions"
FRONTCHANNEL_LOGOUT = "frontchannel-logout"
# the only endpoint whose request body is read
BACKCHANNEL_LOGOUT = "backchannel-logout"


def url_of(application_url: str, endpoint: str) -> str:
    """The absolute URL of an endpoint. application_url ends with `/`, as Application.url does."""
    return f"{application_url}{ENDPOINTS}{endpoint}"


def parameter(request: Request, name: str) -> str:
    """A parameter of the query of a request for an endpoint; "" if there is none, or several, or if
    the query is too long to be read.
    """
    try:
        pairs = parameters(request.query, "replace")
    except ValueError:
        return ""
    values = [value for each, value in pairs if each == name]
    return values[0] if len(values) == 1 else ""
