"""Every way in which a request can be refused, as exceptions.

Each has a reason code. Status, log level and texts are in reasons/, by that code.

    Refusal
    |- LoginRequired                  login_required
    |  |- SessionEnded                session_ended
    |  `- InsufficientAuthentication  insufficient_user_authentication
    |- Misdirected                    misdirected_request
    |- AccessDiffers                  access_rules_differ
    |- NotAllowed                     not_allowed
    |- NoSuchEndpoint                 no_such_endpoint
    |- MethodNotAllowed               method_not_allowed
    |- CrossSiteLogout                cross_site_logout
    |- UserNavigationRequired         user_navigation_required
    |- BodyTooLarge                   body_too_large
    |- InvalidLogout                  invalid_logout_request
    |- InvalidLogoutToken             logout_token_<check>
    |- SessionTooLarge                session_too_large
    |- CallbackRefused                about the response that the browser brought
    |  |- InvalidCallback             invalid_callback
    |  |- StateMismatch               state_mismatch
    |  |- LoginReused                 login_already_used
    |  |- SignedOutMeanwhile          signed_out_meanwhile
    |  |- IssuerMismatch              issuer_mismatch
    |  |- AcrNotSatisfied             acr_not_satisfied
    |  |- AuthTimeTooOld              auth_time_too_old
    |  `- ProviderRefused             provider_<error>
    |- ProviderFault                  in provider_errors.py
    `- Unavailable                    try again later: nothing that is still needed was consumed
       |- ProviderUnavailable         provider_unavailable
       |- InvalidMetadata             invalid_provider_metadata
       |- StoreUnavailable            store_unavailable
       |- LogoutKeyPending            logout_token_key_pending
       |- AccessTokenExpired          access_token_expired
       `- Overloaded                  overloaded

Those of access tokens that API callers bring are in bearer_errors.py. Any other exception is a bug:
internal_error.
"""

from extproc.core.reasons import PROVIDER_ERRORS, REASONS, Level, Reason


class Refusal(Exception):
    """Base of all refusals.

    Attributes:
        reason: the reason code.
        detail: the cause in fixed words, for the operator's log. It reaches no page, and never
            holds text that a client or a provider sent.
    """

    reason = "internal_error"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.reason)
        self.detail = detail

    @property
    def row(self) -> Reason:
        """The row of the table REASONS."""
        return REASONS[self.reason]

    @property
    def status(self) -> int:
        """The HTTP status of the response."""
        return self.row.status or 500

    @property
    def level(self) -> Level:
        """The level of the log line."""
        return self.row.level


class LoginRequired(Refusal):
    reason = "login_required"


class SessionEnded(LoginRequired):
    """The provider refused to renew the session's tokens; the response expires its cookies."""

    reason = "session_ended"


class InsufficientAuthentication(LoginRequired):
    """The user is signed in, and the application demands a stronger or more recent login (RFC
    9470). challenge: the demand, as parameters of the header WWW-Authenticate.
    """

    reason = "insufficient_user_authentication"

    def __init__(self, challenge: str) -> None:
        super().__init__()
        self.challenge = challenge


class Misdirected(Refusal):
    reason = "misdirected_request"


class AccessDiffers(Refusal):
    """Envoy's route was generated from another access section of the application."""

    reason = "access_rules_differ"


class NotAllowed(Refusal):
    """The user is signed in, and may not make the request. detail: the key of the settings that
    does not hold.
    """

    reason = "not_allowed"


class NoSuchEndpoint(Refusal):
    reason = "no_such_endpoint"


class MethodNotAllowed(Refusal):
    reason = "method_not_allowed"


class CrossSiteLogout(Refusal):
    reason = "cross_site_logout"


class UserNavigationRequired(Refusal):
    """The request would change something, and no person made it. Nothing was changed."""

    reason = "user_navigation_required"


class BodyTooLarge(Refusal):
    reason = "body_too_large"


class InvalidLogout(Refusal):
    """The request cannot be a provider's request for a logout."""

    reason = "invalid_logout_request"


class InvalidLogoutToken(Refusal):
    """The logout token fails a check of Back-Channel Logout section 2.6. check: its name, such as
    signature or events.
    """

    def __init__(self, check: str, detail: str = "") -> None:
        self.check = check
        self.reason = f"logout_token_{check}"
        super().__init__(detail)


class SessionTooLarge(Refusal):
    """The user's claims and tokens exceed what a session may hold, in general or in this kind of
    store.
    """

    reason = "session_too_large"


class CallbackRefused(Refusal):
    """Base of refusals about the response that the browser brought from the provider."""


class InvalidCallback(CallbackRefused):
    reason = "invalid_callback"


class StateMismatch(CallbackRefused):
    reason = "state_mismatch"


class LoginReused(CallbackRefused):
    reason = "login_already_used"


class SignedOutMeanwhile(CallbackRefused):
    """The provider ended the user's sessions during the login, or the user signed out in the same
    browser.
    """

    reason = "signed_out_meanwhile"


class IssuerMismatch(CallbackRefused):
    reason = "issuer_mismatch"


class AcrNotSatisfied(CallbackRefused):
    """The acr of the ID token is none of those that the application demands."""

    reason = "acr_not_satisfied"


class AuthTimeTooOld(CallbackRefused):
    """The provider was sent max_age, and did not ask the user to authenticate again."""

    reason = "auth_time_too_old"


class ProviderRefused(CallbackRefused):
    """The provider responded with an error; only registered codes become part of the reason."""

    def __init__(self, error: str) -> None:
        registered = error in PROVIDER_ERRORS
        self.reason = f"provider_{error}" if registered else "provider_error"
        super().__init__("" if registered else "an error code that is not registered")


class Unavailable(Refusal):
    """Base of refusals with Retry-After: nothing that a later try needs was consumed."""


class ProviderUnavailable(Unavailable):
    reason = "provider_unavailable"


class InvalidMetadata(Unavailable):
    reason = "invalid_provider_metadata"


class StoreUnavailable(Unavailable):
    reason = "store_unavailable"


class LogoutKeyPending(Unavailable):
    """The logout token names a key that is not known yet, and it is too early to fetch the keys
    again.
    """

    reason = "logout_token_key_pending"


class AccessTokenExpired(Unavailable):
    """The application needs a valid access token, and none can be obtained now."""

    reason = "access_token_expired"


class Overloaded(Unavailable):
    reason = "overloaded"
