"""Reasons of requests that go on to the application, of answers that are no refusal, and of live
streams that are ended.
"""

from extproc.core.reasons.reason import Level, Reason

DEBUG, INFO = Level.DEBUG, Level.INFO
_IN, _OUT = "Signed in", "Signed out"

# the request continues to the application
ADMITTED = (
    Reason(
        "session",
        None,
        DEBUG,
        _IN,
        "You are signed in.",
        "The user has a session, and the browser gets a new assertion: Envoy decides its next "
        "requests by itself.",
    ),
    Reason(
        "session_unasserted",
        None,
        DEBUG,
        _IN,
        "You are signed in.",
        "The user has a session, and no assertion was issued, so Envoy asks the processor for each "
        "request: identity.assertion_lifetime is 0, the session is about to end, or the identity "
        "is too long for a cookie (then map fewer claims in identity.headers).",
    ),
    Reason(
        "bearer",
        None,
        DEBUG,
        "Let in",
        "The access token is accepted.",
        "An API caller's access token is accepted, and satisfies the deciding rule.",
    ),
    Reason(
        "public",
        None,
        DEBUG,
        "Public",
        "This page is for everybody.",
        "The path is one of public_paths, and the user is not signed in: the request continues "
        "without identity.",
    ),
)

# the processor responds, and nothing is wrong
ANSWERED = (
    Reason(
        "login_started",
        303,
        DEBUG,
        "Signing in",
        "You are being sent to your identity provider.",
        "A navigation without a session. If signed_in does not follow for many of them, look at "
        "the provider, or at cookies that browsers do not send back.",
    ),
    Reason(
        "signed_in",
        303,
        INFO,
        _IN,
        "You are signed in.",
        "A login is complete, and its session is stored.",
    ),
    Reason(
        "overtaken",
        303,
        DEBUG,
        "Signing in",
        "Another sign-in of this browser was faster.",
        "One browser had several logins at the provider at the same time (restored tabs), and "
        "another one was completed first. This one creates no session, and its tab goes to the "
        "page that it was for, with the session that exists. Many of them: the provider responds "
        "slowly.",
    ),
    Reason(
        "login_not_needed",
        303,
        INFO,
        _IN,
        "You are signed in already.",
        "A callback came that signs no user in, from a browser that is signed in: its login cookie "
        "is gone (one of many restored tabs), or the login was answered already or had expired "
        "(its page at the provider was left open while the user signed in elsewhere). Nothing was "
        "changed; the tab goes to the page that it was for, or to the start page if that is not "
        "known.",
    ),
    Reason(
        "already_signed_in",
        303,
        DEBUG,
        _IN,
        "You are signed in already.",
        "The login endpoint was requested with a session that meets the application's demand: no "
        "login was started.",
    ),
    Reason(
        "canonical_host",
        303,
        DEBUG,
        "Another address",
        "You are being sent to the application's own address.",
        "A login on another host of the application is redirected to its url first. Links to url "
        "avoid this redirect.",
    ),
    Reason(
        "userinfo",
        200,
        DEBUG,
        _IN,
        "You are signed in.",
        "oauth2/userinfo was requested, and responded with the user's claims.",
    ),
    Reason(
        "logout_confirmation",
        200,
        DEBUG,
        "Sign out?",
        "Do you want to sign out?",
        "A link on another site, a picture, frame or script of a page, or the service worker of a "
        "page requested oauth2/logout, so the user has to confirm it. Links on the application's "
        "own pages need no confirmation if the browser sends Sec-Fetch headers.",
    ),
    Reason(
        "signed_out",
        303,
        INFO,
        _OUT,
        "You are signed out.",
        "The user signed out. The browser goes to the provider, to end its session as well, or to "
        "the page signed-out.",
    ),
    Reason(
        "signed_out_page",
        200,
        DEBUG,
        _OUT,
        "You are signed out.",
        "The page after a logout was requested.",
    ),
    Reason(
        "own_sessions",
        200,
        DEBUG,
        "Your sessions",
        "These are your sessions.",
        "A user looked at their own sessions at oauth2/sessions.",
    ),
    Reason(
        "own_sessions_ended",
        303,
        INFO,
        "Your sessions",
        "The sessions are ended.",
        "A user ended sessions of their own; the log line own_sessions_ended before this one has "
        "the number.",
    ),
    Reason(
        "own_sessions_stale",
        303,
        INFO,
        "Your sessions",
        "That page was too old. Please choose again.",
        "A user's choice among their own sessions came from a page that is too old, or that was "
        "made for another session: the page is shown again.",
    ),
    Reason(
        "frontchannel_logout",
        200,
        INFO,
        _OUT,
        "You are signed out.",
        "The provider ended the session by a frame in the browser.",
    ),
    Reason(
        "backchannel_logout",
        200,
        INFO,
        _OUT,
        "You are signed out.",
        "The provider ended sessions by a request of its own; the log line before this one has the "
        "number.",
    ),
)

# a live stream that the processor ends after its request went on to the application
# (ext_proc/live_streams.py)
ENDED = (
    Reason(
        "session_over",
        None,
        INFO,
        _OUT,
        "Your session has ended. Please sign in again.",
        "The session of a live stream was over (logout, an operator, or its time), so the "
        "processor ended the stream. The client reconnects and gets 401 until its user signs in.",
    ),
    Reason(
        "processor_leaving",
        None,
        INFO,
        "Connection closed",
        "The connection was closed. Please connect again.",
        "The processor or one of its workers stopped, so it ended its live streams. Clients that "
        "reconnect reach another worker, or its successor.",
    ),
)
