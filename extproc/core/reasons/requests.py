"""Reasons of refusals about the request, the browser, or the processor itself."""

from extproc.core.reasons.reason import Level, Reason

DEBUG, INFO, WARNING, ERROR = Level.DEBUG, Level.INFO, Level.WARNING, Level.ERROR
_NOT_OUT, _NOT_IN, _LATER = "Not signed out", "Sign-in did not complete", "Not available right now"

REQUESTS = (
    Reason(
        "login_required",
        401,
        DEBUG,
        "Sign in first",
        "This needs a signed-in user.",
        "A request without a session that is no navigation (of a script, an image, a WebSocket): "
        "the page that made it should go to login_url. Paths that need no login belong into "
        "public_paths: a web manifest, an icon or a font that the browser requests without cookies "
        "among them.",
    ),
    Reason(
        "session_ended",
        401,
        INFO,
        "Sign in first",
        "Your session has ended. Please sign in again.",
        "The provider refused to renew the session's tokens; the log line session_ended before "
        "this one has the cause. Often the provider's sessions or refresh tokens live shorter than "
        "session.lifetime.",
    ),
    Reason(
        "insufficient_user_authentication",
        401,
        INFO,
        "Sign in again",
        "This needs a stronger or a more recent sign-in than yours.",
        "The session does not meet acr_values or max_age of the application, and the request was "
        "no navigation: the page that made it should go to login_url.",
    ),
    Reason(
        "misdirected_request",
        421,
        DEBUG,
        "Wrong address",
        "This address does not belong to the application.",
        "The host is not in the application's hosts: add it there, or find out which client sends "
        "it. With 'no application' or 'fingerprint' in the detail, Envoy's configuration was "
        "generated from other settings: generate it again with `extproc envoy`, and restart Envoy.",
    ),
    Reason(
        "not_allowed",
        403,
        INFO,
        "No access",
        "You are signed in, and this account may not open this page.",
        "The user does not satisfy allow of the application or of the rule that decides the "
        "request; the detail names the key that does not hold. docs/access.md.",
    ),
    Reason(
        "no_such_endpoint",
        404,
        DEBUG,
        "No such page",
        "The sign-in service has no page at this address.",
        "The endpoints below oauth2/ are login, callback, logout, signed-out, userinfo, sessions "
        "and the provider's logouts, on the host of the application's url.",
    ),
    Reason(
        "method_not_allowed",
        405,
        DEBUG,
        "Not possible this way",
        "This address does not take requests of this kind.",
        "The header Allow lists the methods of the endpoint. If a callback comes by POST, "
        "configure the client at the provider for response_mode query. Apple uses POST as soon as "
        "name or email are requested: set scopes to [openid]. docs/providers.md.",
    ),
    Reason(
        "cross_site_logout",
        403,
        INFO,
        _NOT_OUT,
        "Another site asked to sign you out. Nothing was changed.",
        "A form on another origin posted to oauth2/logout: link to it instead, or post from the "
        "application's own origin.",
    ),
    Reason(
        "user_navigation_required",
        403,
        DEBUG,
        "Open this page yourself",
        "This works only as a page that you open yourself. Nothing was changed.",
        "A browser requested oauth2/callback or oauth2/logout without its user: ahead of time "
        "(prefetch, prerender), or for a picture, a frame or a script of a page. Browsers repeat "
        "the request when the user opens the page. Exclude oauth2/ from what pages prefetch.",
    ),
    Reason(
        "body_too_large",
        413,
        INFO,
        "Too large",
        "This request is larger than a logout can be.",
        "A back-channel logout has more than 64 kB, which no provider sends: find out which client "
        "does.",
    ),
    Reason(
        "invalid_logout_request",
        400,
        INFO,
        _NOT_OUT,
        "This is no complete logout request of the identity provider. Nothing was changed.",
        "The detail names what is missing. For front-channel logout register "
        "frontchannel_logout_session_required at the provider.",
    ),
)

CALLBACKS = (
    Reason(
        "invalid_callback",
        400,
        INFO,
        _NOT_IN,
        "The answer that came back from the identity provider is incomplete or malformed.",
        "The detail names the fault in the query of oauth2/callback. If every login ends so, look "
        "for a proxy on the way that rewrites URLs.",
    ),
    Reason(
        "state_mismatch",
        400,
        INFO,
        _NOT_IN,
        "This sign-in was not started in this browser, or its cookie is gone. Please start again.",
        "A bookmark of the callback, blocked cookies, a login older than two hours, or a link from "
        "another person. If every login ends so, url has another host or scheme than browsers use, "
        "or machines have different secrets.",
    ),
    Reason(
        "login_already_used",
        400,
        INFO,
        _NOT_IN,
        "This sign-in was used already. Please start again.",
        "The same callback came twice: the user reloaded the page, or a proxy on the way repeats "
        "requests.",
    ),
    Reason(
        "signed_out_meanwhile",
        400,
        INFO,
        _NOT_IN,
        "You were signed out while this sign-in was under way. Please start again.",
        "The user signed out in the same browser, or the provider sent a back-channel logout for "
        "the user, during this login. There is nothing to do, unless every login ends so.",
    ),
    Reason(
        "issuer_mismatch",
        400,
        WARNING,
        _NOT_IN,
        "The answer came from another identity provider than the one that was asked.",
        "iss of the callback is not providers.NAME.issuer: a mix-up attack, or an issuer that is "
        "spelled in two ways (a slash at its end).",
    ),
    Reason(
        "acr_not_satisfied",
        403,
        INFO,
        _NOT_IN,
        "You signed in at your identity provider, but not in the way that this application "
        "demands, such as with a second factor. Please try again and choose that way; if you "
        "cannot choose it, please contact the administrator.",
        "acr of the ID token is none of acr_values. If every login ends so, the provider uses "
        "other values, or sends this client no acr.",
    ),
    Reason(
        "auth_time_too_old",
        403,
        INFO,
        _NOT_IN,
        "This application demands that you signed in a short while ago, and your identity provider "
        "did not ask you to sign in again. Sign out there, then try again.",
        "The provider was sent max_age, and did not ask the user to sign in again. If every login "
        "ends so, the provider ignores max_age: set prompt: login.",
    ),
)

OURS = (
    Reason(
        "access_rules_differ",
        503,
        WARNING,
        _LATER,
        "This address is being changed. Please try again in a few minutes.",
        "Envoy's configuration was generated from other rules of this application than those of "
        "the processor: generate it again with `extproc envoy`, and restart Envoy with it. Until "
        "then nobody passes, because one side does not know what the other one demands.",
        retry_after=60,
    ),
    Reason(
        "session_too_large",
        500,
        WARNING,
        _NOT_IN,
        "Your account has too much profile data to sign in here, for example too many groups. "
        "Please contact the administrator.",
        "The detail says how large, and which header or token. Have the provider give fewer claims "
        "(mostly groups), ask for fewer scopes, let identity.max_header_bytes leave out a header "
        "that is too long, or use a store of kind sqlite or redis in place of cookie.",
    ),
    Reason(
        "store_unavailable",
        503,
        WARNING,
        _LATER,
        "Sessions cannot be read right now. You are still signed in; please try again in a moment.",
        "The detail names the store and the cause. Look at the store's server, or at the disk of "
        "its file; `extproc check` tries the store.",
        retry_after=5,
    ),
    Reason(
        "overloaded",
        503,
        WARNING,
        _LATER,
        "Too many people are signing in right now. Please try again in a moment.",
        "The detail names the setting of limits that is reached. A slow provider is a possible "
        "cause as well: look for provider_timeout.",
        retry_after=3,
    ),
    Reason(
        "internal_error",
        500,
        ERROR,
        "Something went wrong",
        "The sign-in service met an error of its own.",
        "This is a bug: the log line internal_error of the same trace has a traceback. Please "
        "report it.",
    ),
)

# The stream ends with an error and without an answer of the processor. Envoy responds with 500 or
# 503, if the client is still connected.
ABORTED = (
    Reason(
        "cancelled",
        None,
        INFO,
        "Gone",
        "The browser went away before there was an answer.",
        "The client closed the request, or Envoy's own timeout did. If there are many, something "
        "is slow: look at their duration.",
    ),
    Reason(
        "unexpected_message",
        None,
        ERROR,
        "Something went wrong",
        "The sign-in service met an error of its own.",
        "Envoy's ext_proc filter is not configured as `extproc envoy` prints it; the detail names "
        "the message.",
    ),
    Reason(
        "body_missing",
        None,
        INFO,
        "Gone",
        "The rest of the request did not come in time.",
        "The client that sent a back-channel logout stopped before the end of its body, or more "
        "than limits.body of them wait: then clients send bodies slowly on purpose. Envoy's access "
        "log has their addresses.",
    ),
)
