"""The names of the processor's own endpoints, below `<path_prefix>oauth2/` of each application."""

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
