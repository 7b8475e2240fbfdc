"""Every way a request can be refused. Status, level and words of each are in reasons/, by its
reason code.

    Refusal
    |- LoginRequired                  login_required
    |  |- SessionEnded                session_ended
    |  `- InsufficientAuthentication  insufficient_user_authentication
    |- Misdirected                    misdirected_request
    |- NoSuchEndpoint                 no_such_endpoint
    |- MethodNotAllowed               method_not_allowed
    |- CrossSiteLogout                cross_site_logout
    |- UserNavigationRequired         user_navigation_required
    |- BodyTooLarge                   body_too_large
    |- InvalidLogout                  invalid_logout_request
    |- InvalidLogoutToken             logout_token_<check>
    |- SessionTooLarge                session_too_large
    |- CallbackRefused                what came back from the browser
    |  |- InvalidCallback             invalid_callback
    |  |- StateMismatch               state_mismatch
    |  |- LoginReused                 login_already_used
    |  |- SignedOutMeanwhile          signed_out_meanwhile
    |  |- IssuerMismatch              issuer_mismatch
    |  |- AcrNotSatisfied             acr_not_satisfied
    |  |- AuthTimeTooOld              auth_time_too_old
    |  `- ProviderRefused             provider_<error>
    |- ProviderFault                  what the provider answered
    |  |- CodeRefused                 code_refused
    |  |- ClientRefused               client_refused
    |  |- InvalidAnswer               invalid_provider_answer
    |  |- InvalidTokenResponse        invalid_token_response
    |  |- InvalidIDToken              id_token_<check>
    |  |- InvalidUserInfo             invalid_userinfo
    |  `- SubjectMismatch             userinfo_subject_mismatch
    |- Unavailable                    try again later: Retry-After, nothing was consumed that is
    still needed
    |  |- ProviderUnavailable         provider_unavailable
    |  |- InvalidMetadata             invalid_provider_metadata
    |  |- StoreUnavailable            store_unavailable
    |  |- AccessTokenExpired          access_token_expired
    |  `- Overloaded                  overloaded
    (the provider was asked, and it was no use: ProviderFault as well)
       |- ProviderUnreachable         provider_unreachable
       |- ProviderFailed              provider_failed
       `- ProviderTimeout             provider_timeout

`detail` is for the log of the operator and reaches no page. Whatever else is raised is a bug:
internal_error.
"""

from extproc.core.reasons import PROVIDER_ERRORS, REASONS, Level, Reason


class Refusal(Exception):
    """Base: a refusal with a reason code, which says all about it. Never printed with foreign text
    in it.
    """

    reason = "internal_error"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.reason)
        self.detail = detail

    @property
    def said(self) -> Reason:
        """Its row of the table."""
        return REASONS[self.reason]

    @property
    def status(self) -> int:
        return self.said.status or 500

    @property
    def level(self) -> Level:
        return self.said.level


class LoginRequired(Refusal):
    reason = "login_required"


class SessionEnded(LoginRequired):
    """The provider does not renew it: its cookies are expired with the answer."""

    reason = "session_ended"


class InsufficientAuthentication(LoginRequired):
    """Somebody is signed in, and the application demands more (RFC 9470). challenge: what, as
    WWW-StartLogin says it.
    """

    reason = "insufficient_user_authentication"

    def __init__(self, challenge: str) -> None:
        super().__init__()
        self.challenge = challenge


class Misdirected(Refusal):
    reason = "misdirected_request"


class NoSuchEndpoint(Refusal):
    reason = "no_such_endpoint"


class MethodNotAllowed(Refusal):
    reason = "method_not_allowed"


class CrossSiteLogout(Refusal):
    reason = "cross_site_logout"


class UserNavigationRequired(Refusal):
    """It would change something, and no person asked for it. Nothing was changed."""

    reason = "user_navigation_required"


class BodyTooLarge(Refusal):
    reason = "body_too_large"


class InvalidLogout(Refusal):
    """A request of the provider's that cannot be one for a logout."""

    reason = "invalid_logout_request"


class InvalidLogoutToken(Refusal):
    """`check` names the check of Back-Channel Logout section 2.6 that failed, such as signature or
    events.
    """

    def __init__(self, check: str, detail: str = "") -> None:
        self.check = check
        self.reason = f"logout_token_{check}"
        super().__init__(detail)


class SessionTooLarge(Refusal):
    """What the provider says of a user is more than a session may hold, here or in this kind of
    store.
    """

    reason = "session_too_large"


class CallbackRefused(Refusal):
    """What came back from the browser."""


class InvalidCallback(CallbackRefused):
    reason = "invalid_callback"


class StateMismatch(CallbackRefused):
    reason = "state_mismatch"


class LoginReused(CallbackRefused):
    reason = "login_already_used"


class SignedOutMeanwhile(CallbackRefused):
    """The provider ended the user's sessions while this one began, or its browser signed out."""

    reason = "signed_out_meanwhile"


class IssuerMismatch(CallbackRefused):
    reason = "issuer_mismatch"


class AcrNotSatisfied(CallbackRefused):
    """The ID token's acr is none of those that the application demands."""

    reason = "acr_not_satisfied"


class AuthTimeTooOld(CallbackRefused):
    """The provider was told max_age and did not ask the user again."""

    reason = "auth_time_too_old"


class ProviderRefused(CallbackRefused):
    """The provider's own error answer; only registered codes become part of the reason."""

    def __init__(self, error: str) -> None:
        known = error in PROVIDER_ERRORS
        self.reason = f"provider_{error}" if known else "provider_error"
        super().__init__("" if known else "an error code that is not registered")


class ProviderFault(Refusal):
    """What the provider answered."""


class CodeRefused(ProviderFault):
    reason = "code_refused"


class ClientRefused(ProviderFault):
    reason = "client_refused"


class InvalidAnswer(ProviderFault):
    reason = "invalid_provider_answer"


class InvalidTokenResponse(ProviderFault):
    reason = "invalid_token_response"


class InvalidIDToken(ProviderFault):
    """`check` names the check of OpenID Connect Core section 3.1.3.7 that failed, such as signature
    or nonce.
    """

    def __init__(self, check: str, detail: str = "") -> None:
        self.check = check
        self.reason = f"id_token_{check}"
        super().__init__(detail)


class UnknownKey(InvalidIDToken):
    """No key of the set fits; a newer set may have it."""

    def __init__(self, detail: str = "") -> None:
        super().__init__("key", detail)


class InvalidUserInfo(ProviderFault):
    reason = "invalid_userinfo"


class SubjectMismatch(ProviderFault):
    reason = "userinfo_subject_mismatch"


class Unavailable(Refusal):
    """Try again later: Retry-After, and nothing was consumed that is still needed."""


class ProviderUnavailable(Unavailable):
    reason = "provider_unavailable"


class InvalidMetadata(Unavailable):
    reason = "invalid_provider_metadata"


class StoreUnavailable(Unavailable):
    reason = "store_unavailable"


class AccessTokenExpired(Unavailable):
    """The application needs a fresh access token, and none can be had now."""

    reason = "access_token_expired"


class Overloaded(Unavailable):
    reason = "overloaded"


class ProviderUnreachable(ProviderFault):
    reason = "provider_unreachable"


class ProviderFailed(ProviderFault):
    reason = "provider_failed"


class ProviderTimeout(ProviderFault):
    reason = "provider_timeout"
