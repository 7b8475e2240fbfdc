"""Every way a request can be refused, each with its HTTP status and its stable reason code.

    OIDCError
    |- LoginRequired            401  login_required
    |  |- SessionEnded          401  session_ended
    |  `- InsufficientAuthentication  401  insufficient_user_authentication
    |- Misdirected              421  misdirected_request
    |- NoSuchEndpoint           404  no_such_endpoint
    |- MethodNotAllowed         405  method_not_allowed
    |- CrossSiteLogout          403  cross_site_logout
    |- BodyTooLarge             413  body_too_large
    |- InvalidLogout            400  invalid_logout_request
    |- InvalidLogoutToken       400  logout_token_<check>
    |- SessionTooLarge          500  session_too_large
    |- CallbackRefused               what came back from the browser
    |  |- InvalidCallback       400  invalid_callback
    |  |- StateMismatch         400  state_mismatch
    |  |- LoginReused           400  login_already_used
    |  |- SignedOutMeanwhile    400  signed_out_meanwhile
    |  |- IssuerMismatch        400  issuer_mismatch
    |  |- AcrNotSatisfied       403  acr_not_satisfied
    |  |- AuthTimeTooOld        403  auth_time_too_old
    |  `- ProviderRefused       403, 502, 503  provider_<error>
    |- ProviderFault                 what the provider answered
    |  |- CodeRefused           400  code_refused
    |  |- ClientRefused         502  client_refused
    |  |- InvalidAnswer         502  invalid_provider_answer
    |  |- InvalidTokenResponse  502  invalid_token_response
    |  |- InvalidIDToken        502  id_token_<check>
    |  |- InvalidUserInfo       502  invalid_userinfo
    |  `- SubjectMismatch       502  userinfo_subject_mismatch
    |- Unavailable                   try again later: Retry-After, nothing was consumed that is still needed
    |  |- ProviderUnavailable   503  provider_unavailable
    |  |- InvalidMetadata       503  invalid_provider_metadata
    |  |- StoreUnavailable      503  store_unavailable
    |  |- AccessTokenExpired    503  access_token_expired
    |  `- Overloaded            503  overloaded
    (the provider was asked, and it was no use: ProviderFault as well)
       |- ProviderUnreachable   502  provider_unreachable
       |- ProviderFailed        502  provider_failed
       `- ProviderTimeout       504  provider_timeout

`text` is fixed and for the user; `detail` is for the log of the operator and reaches no page. Whatever else is raised is a bug:
500 internal_error.
"""

# RFC 6749 section 4.1.2.1, OpenID Connect Core section 3.1.2.6, its Unmet Authentication Requirements: with the status of our page
PROVIDER_ERRORS = {
    "access_denied": 403,
    "account_selection_required": 403,
    "consent_required": 403,
    "interaction_required": 403,
    "invalid_request": 502,
    "invalid_request_object": 502,
    "invalid_request_uri": 502,
    "invalid_scope": 502,
    "login_required": 403,
    "registration_not_supported": 502,
    "request_not_supported": 502,
    "request_uri_not_supported": 502,
    "server_error": 502,
    "temporarily_unavailable": 503,
    "unauthorized_client": 502,
    "unmet_authentication_requirements": 403,
    "unsupported_response_type": 502,
}


class OIDCError(Exception):
    """Base: a refusal with a status, a reason code and a sentence for the user. Never printed with foreign text in it."""

    status = 500
    reason = "internal_error"
    title = "Something went wrong"
    text = "The sign-in service met an error of its own."
    retry_after: int | None = None

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.reason)
        self.detail = detail


class LoginRequired(OIDCError):
    status, reason, title = 401, "login_required", "Sign in first"
    text = "This needs a signed-in user."


class SessionEnded(LoginRequired):
    """The provider does not renew it: its cookies are expired with the answer."""

    reason = "session_ended"
    text = "Your session has ended. Please sign in again."


class InsufficientAuthentication(LoginRequired):
    """Somebody is signed in, and the application demands more (RFC 9470). challenge: what, as WWW-Authenticate says it."""

    reason, title = "insufficient_user_authentication", "Sign in again"
    text = "This needs a stronger or a more recent sign-in than yours."

    def __init__(self, challenge: str) -> None:
        super().__init__()
        self.challenge = challenge


class Misdirected(OIDCError):
    status, reason, title = 421, "misdirected_request", "Wrong address"
    text = "This address does not belong to the application."


class NoSuchEndpoint(OIDCError):
    status, reason, title = 404, "no_such_endpoint", "No such page"
    text = "The sign-in service has no page at this address."


class MethodNotAllowed(OIDCError):
    status, reason, title = 405, "method_not_allowed", "Not possible this way"
    text = "This address does not take requests of this kind."


class CrossSiteLogout(OIDCError):
    status, reason, title = 403, "cross_site_logout", "Not signed out"
    text = "Another site asked to sign you out. Nothing was changed."


class BodyTooLarge(OIDCError):
    status, reason, title = 413, "body_too_large", "Too large"
    text = "This request is larger than a logout can be."


class InvalidLogout(OIDCError):
    """A request of the provider's that cannot be one for a logout."""

    status, reason, title = 400, "invalid_logout_request", "Not signed out"
    text = "This is no complete logout request of the identity provider. Nothing was changed."


class InvalidLogoutToken(OIDCError):
    """`check` names the check of Back-Channel Logout section 2.6 that failed, such as signature or events."""

    status, title = 400, "Not signed out"
    text = "This is no logout token of the identity provider for this service. Nothing was changed."

    def __init__(self, check: str, detail: str = "") -> None:
        self.check = check
        self.reason = f"logout_token_{check}"
        super().__init__(detail)


class SessionTooLarge(OIDCError):
    """What the provider says of a user is more than a session may hold, here or in this kind of store."""

    status, reason, title = 500, "session_too_large", "Sign-in did not complete"
    text = "Your identity provider says more about you than this service can keep. Its operator has to look at this."


class CallbackRefused(OIDCError):
    status, title = 400, "Sign-in did not complete"


class InvalidCallback(CallbackRefused):
    reason = "invalid_callback"
    text = "The answer that came back from the identity provider is incomplete or malformed."


class StateMismatch(CallbackRefused):
    reason = "state_mismatch"
    text = "This sign-in was not started in this browser, or its cookie is gone. Please start again."


class LoginReused(CallbackRefused):
    reason = "login_already_used"
    text = "This sign-in was used already. Please start again."


class SignedOutMeanwhile(CallbackRefused):
    """The provider ended the user's sessions while this one began."""

    reason = "signed_out_meanwhile"
    text = "Your identity provider signed you out while this sign-in was under way. Please start again."


class IssuerMismatch(CallbackRefused):
    reason = "issuer_mismatch"
    text = "The answer came from another identity provider than the one that was asked."


class AcrNotSatisfied(CallbackRefused):
    """The ID token's acr is none of those that the application demands."""

    status, reason = 403, "acr_not_satisfied"
    text = (
        "You signed in at your identity provider, but not in the way that this application demands, such as with a second factor."
        " Try again and choose that way; if there is none to choose, the application's operator has to look at this."
    )


class AuthTimeTooOld(CallbackRefused):
    """The provider was told max_age and did not ask the user again."""

    status, reason = 403, "auth_time_too_old"
    text = (
        "This application demands that you signed in a short while ago, and your identity provider did not ask you to sign in again."
        " Sign out there, then try again."
    )


class ProviderRefused(CallbackRefused):
    """The provider's own error answer; only registered codes become part of the reason."""

    text = "The identity provider did not complete the sign-in."

    def __init__(self, error: str) -> None:
        known = error in PROVIDER_ERRORS
        self.status = PROVIDER_ERRORS[error] if known else 502
        self.retry_after = Unavailable.retry_after if self.status == 503 else None
        self.reason = f"provider_{error}" if known else "provider_error"
        super().__init__("" if known else "an error code that is not registered")
        if error == "access_denied":
            self.text = "The identity provider did not let you in, or you chose not to go on."


class ProviderFault(OIDCError):
    status, title = 502, "Sign-in did not complete"
    text = "The identity provider's answer could not be used."


class CodeRefused(ProviderFault):
    status, reason = 400, "code_refused"
    text = "The identity provider did not accept this sign-in any more. Please start again."


class ClientRefused(ProviderFault):
    reason = "client_refused"
    text = "The identity provider does not accept this service's credentials. Its operator has to look at this."


class InvalidAnswer(ProviderFault):
    reason = "invalid_provider_answer"


class InvalidTokenResponse(ProviderFault):
    reason = "invalid_token_response"


class InvalidIDToken(ProviderFault):
    """`check` names the check of OpenID Connect Core section 3.1.3.7 that failed, such as signature or nonce."""

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


class Unavailable(OIDCError):
    status, title = 503, "Not available right now"
    retry_after = 5


class ProviderUnavailable(Unavailable):
    reason = "provider_unavailable"
    text = "The identity provider cannot be reached right now. Please try again in a moment."


class InvalidMetadata(Unavailable):
    reason = "invalid_provider_metadata"
    text = "The identity provider's own description could not be used. Its operator has to look at this."


class StoreUnavailable(Unavailable):
    reason = "store_unavailable"
    text = "Sessions cannot be read right now. You are still signed in; please try again in a moment."


class AccessTokenExpired(Unavailable):
    """The application needs a fresh access token, and none can be had now."""

    reason = "access_token_expired"
    text = "The identity provider cannot be reached right now. You are still signed in; please try again in a moment."


class Overloaded(Unavailable):
    reason = "overloaded"
    text = "Too many people are signing in right now. Please try again in a moment."
    retry_after = 3


class ProviderUnreachable(ProviderFault):
    reason = "provider_unreachable"
    text = "The identity provider could not be reached. Please try again."


class ProviderFailed(ProviderFault):
    reason = "provider_failed"
    text = "The identity provider met an error of its own. Please try again."


class ProviderTimeout(ProviderFault):
    status, reason = 504, "provider_timeout"
    text = "The identity provider did not answer in time. Please try again."
