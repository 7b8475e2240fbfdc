"""The processor's own endpoints: names below `<path_prefix>oauth2/` of each application."""

ENDPOINTS = "oauth2/"

LOGIN = "login"
CALLBACK = "callback"
LOGOUT = "logout"
SIGNED_OUT = "signed-out"
USERINFO = "userinfo"
SESSIONS = "sessions"
FRONTCHANNEL_LOGOUT = "frontchannel-logout"
BACKCHANNEL_LOGOUT = "backchannel-logout"  # the endpoint whose body is read


def url_of(application_url: str, endpoint: str) -> str:
    """The absolute URL of an endpoint; `application_url` ends with `/`, as `Settings.url` and
    `Application.url` give it.
    """
    return f"{application_url}{ENDPOINTS}{endpoint}"
