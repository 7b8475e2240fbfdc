"""Reasons of requests that go on to the application, of answers that are no refusal, and of live
streams that are ended.
"""

from extproc.core.reasons.reason import Level, Reason

DEBUG, INFO = Level.DEBUG, Level.INFO
_IN, _OUT = "Signed in", "Signed out"

# to the application
ADMITTED = (
    Reason(
        "session",
        None,
        DEBUG,
        _IN,
        "You are signed in.",
        "A session was found and a new assertion went to the browser: Envoy decides its next "
        "requests by itself.",
    ),
    Reason(
        "session_unasserted",
        None,
        DEBUG,
        _IN,
        "You are signed in.",
        "A session was found and no assertion was made: identity.assertion_lifetime is 0, "
        "the session is about to end, or the identity "
        "is longer than a cookie may be (then map fewer claims in identity.headers); the "
        "processor is asked for each request.",
    ),
    Reason(
        "public",
        None,
        DEBUG,
        "Public",
        "This page is for everybody.",
        "The path is one of public_paths and nobody is signed in: the request goes on "
        "without identity.",
    ),
)

# by the processor, and all is well
ANSWERED = (
    Reason(
        "login_started",
        303,
        DEBUG,
        "Signing in",
        "You are being sent to your identity provider.",
        "A navigation without a session. Many without signed_in after them: look at the "
        "provider, or at cookies that do not come back.",
    ),
    Reason(
        "signed_in",
        303,
        INFO,
        _IN,
        "You are signed in.",
        "A login is complete and a session is kept.",
    ),
    Reason(
        "overtaken",
        303,
        DEBUG,
        "Signing in",
        "Another sign-in of this browser was faster.",
        "Of several logins of one browser that were at the provider together (restored "
        "tabs), another ended first: this one makes no "
        "session, and its tab goes where it was to go. Many of them: the provider answers slowly.",
    ),
    Reason(
        "already_signed_in",
        303,
        DEBUG,
        _IN,
        "You are signed in already.",
        "The login endpoint was asked for with a session that is enough: nothing was started.",
    ),
    Reason(
        "canonical_host",
        303,
        DEBUG,
        "Another address",
        "You are being sent to the application's own address.",
        "A login on another host of the application goes to its url first. Link to url, and "
        "this redirect is spared.",
    ),
    Reason(
        "userinfo",
        200,
        DEBUG,
        _IN,
        "You are signed in.",
        "oauth2/userinfo was asked for and said who is signed in.",
    ),
    Reason(
        "logout_confirmation",
        200,
        DEBUG,
        "Sign out?",
        "Do you want to sign out?",
        "A link on another site, a picture, frame or script of some page, or a page's "
        "service worker asked for oauth2/logout, so the "
        "user is asked. Links on the application's own pages are not asked about, where the "
        "browser sends Sec-Fetch headers.",
    ),
    Reason(
        "signed_out",
        303,
        INFO,
        _OUT,
        "You are signed out.",
        "The user signed out; the browser goes on to the provider, whose session ends too, "
        "or to our own page.",
    ),
    Reason(
        "signed_out_page",
        200,
        DEBUG,
        _OUT,
        "You are signed out.",
        "The page after a logout.",
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
        "A user ended sessions of their own; the line own_sessions_ended before says how many.",
    ),
    Reason(
        "own_sessions_stale",
        303,
        INFO,
        "Your sessions",
        "That page was too old. Please choose again.",
        "A user's choice among their own sessions came from a page that is too old, or of "
        "another session: they are shown anew.",
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
        "The provider ended sessions by a request of its own; the line before says how many.",
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
