"""Reasons that are about the provider: what it says, what it does, and that it is away."""

from extproc.core.reasons.reason import Level, Reason

INFO, WARNING = Level.INFO, Level.WARNING
_NOT_IN, _LATER = "Sign-in did not complete", "Not available right now"
_NOT_COMPLETED = "The identity provider did not complete the sign-in."
_NOT_USABLE = "The identity provider's answer could not be used."


# error of the callback, as registered (RFC 6749 section 4.1.2.1, OpenID Connect Core section
# 3.1.2.6, Unmet Authentication Requirements)
_PERSON = {
    "access_denied": "The user declined, or the provider's policy keeps them from this client: "
    "its log says which.",
    "account_selection_required": "The provider could not ask the user for an account: prompt: "
    "select_account may help.",
    "consent_required": "The provider needs the user's consent and did not ask: prompt: consent, "
    "or grant it there for all.",
    "interaction_required": "The provider could not ask the user something: see "
    "authorization_params and its policies.",
    "login_required": "The provider could not ask the user to sign in: see its policies for this "
    "client.",
    "unmet_authentication_requirements": "The provider cannot give any of acr_values to this "
    "user: enrol a second factor there.",
}
_SETTINGS = {
    "invalid_request": "The provider finds the login's parameters wrong: mostly a redirect_uri "
    "that is not registered as "
    "`extproc check` prints it, or something in authorization_params.",
    "invalid_request_object": "The provider wants request objects, which are not sent: allow "
    "plain requests there.",
    "invalid_request_uri": "The provider wants request objects, which are not sent: allow plain "
    "requests there.",
    "invalid_scope": "The provider does not give one of providers.NAME.scopes to this client: "
    "change it here or there.",
    "registration_not_supported": "Nothing of the kind is asked for here: see "
    "authorization_params.",
    "request_not_supported": "Nothing of the kind is asked for here: see authorization_params.",
    "request_uri_not_supported": "Nothing of the kind is asked for here: see authorization_params.",
    "server_error": "The provider met an error of its own: its log says which.",
    "unauthorized_client": "The client may not use the authorization code flow: allow it at the "
    "provider.",
    "unsupported_response_type": "The provider does not know response_type code, or not for this "
    "client: allow it there.",
}
_DENIED = "The identity provider did not let you in, or you chose not to go on."

REGISTERED = (
    *(
        Reason(
            f"provider_{error}",
            403,
            INFO,
            _NOT_IN,
            _DENIED if error == "access_denied" else _NOT_COMPLETED,
            remedy,
        )
        for error, remedy in _PERSON.items()
    ),
    *(
        Reason(f"provider_{error}", 502, WARNING, _NOT_IN, _NOT_COMPLETED, remedy)
        for error, remedy in _SETTINGS.items()
    ),
    Reason(
        "provider_temporarily_unavailable",
        503,
        WARNING,
        _NOT_IN,
        _NOT_COMPLETED,
        "The provider says that it is overloaded or in maintenance: look there.",
        retry_after=5,
    ),
)
ERRORS = (
    *REGISTERED,
    Reason(
        "provider_error",
        502,
        WARNING,
        _NOT_IN,
        _NOT_COMPLETED,
        "The provider's error code is none that is registered, so it is not repeated here: "
        "its own log says more.",
    ),
)

# what it answered to us
FAULTS = (
    Reason(
        "code_refused",
        400,
        INFO,
        _NOT_IN,
        "The identity provider did not accept this sign-in any more. Please start again.",
        "The token endpoint says invalid_grant: the code was too old or used, or of another "
        "login. When every login ends so: PKCE or "
        "redirect_uri are changed on the way, or the provider's nodes do not share their codes.",
    ),
    Reason(
        "client_refused",
        502,
        WARNING,
        _NOT_IN,
        "The identity provider does not accept this service's credentials. Its operator has "
        "to look at this.",
        "The token endpoint refuses the client: check client_id, client_secret, "
        "token_endpoint_auth_method, and that "
        "the grant is allowed.",
    ),
    Reason(
        "invalid_provider_answer",
        502,
        WARNING,
        _NOT_IN,
        _NOT_USABLE,
        "The detail says what is wrong: a redirect, a status, a compressed or too long "
        "answer (limits.response_bytes), or no key set. "
        "Mostly a proxy between here and the provider: see backchannel_url.",
    ),
    Reason(
        "invalid_token_response",
        502,
        WARNING,
        _NOT_IN,
        _NOT_USABLE,
        "The token endpoint's answer is not as RFC 6749 and OpenID Connect want it; the "
        "detail says what. No id_token: openid is missing "
        "in scopes.",
    ),
    Reason(
        "invalid_userinfo",
        502,
        WARNING,
        _NOT_IN,
        _NOT_USABLE,
        "UserInfo was refused or is not readable; the detail says which. 401 or 403: the "
        "access token's scopes or audience do not fit.",
    ),
    Reason(
        "userinfo_subject_mismatch",
        502,
        WARNING,
        _NOT_IN,
        _NOT_USABLE,
        "UserInfo speaks of another user than the ID token: a cache between here and the "
        "provider, or a provider that mixes up users.",
    ),
    Reason(
        "provider_unreachable",
        502,
        WARNING,
        _NOT_IN,
        "The identity provider could not be reached. Please try again.",
        "The detail says which address and why. Look at DNS, firewall, the provider's "
        "certificate (ca_file) and backchannel_url.",
    ),
    Reason(
        "provider_failed",
        502,
        WARNING,
        _NOT_IN,
        "The identity provider met an error of its own. Please try again.",
        "One of its endpoints answers 5xx or 429: look at its log.",
    ),
    Reason(
        "provider_timeout",
        504,
        WARNING,
        _NOT_IN,
        "The identity provider did not answer in time. Please try again.",
        "No whole answer within timeouts.call, or not all of them within timeouts.callback: "
        "the trace shows which call was slow.",
    ),
)

# nothing was consumed that is still needed
AWAY = (
    Reason(
        "provider_unavailable",
        503,
        WARNING,
        _LATER,
        "The identity provider cannot be reached right now. Please try again in a moment.",
        "Its metadata could not be fetched, and is tried again; the detail says why. Look at "
        "issuer, backchannel_url and "
        "ca_file; /readyz says what is missing.",
        retry_after=5,
    ),
    Reason(
        "invalid_provider_metadata",
        503,
        WARNING,
        _LATER,
        "The identity provider's own description could not be used. Its operator has to look "
        "at this.",
        "The discovery document is not right; the detail says what. Mostly issuer is not "
        "spelled as in the document.",
        retry_after=5,
    ),
    Reason(
        "access_token_expired",
        503,
        WARNING,
        _LATER,
        "The identity provider cannot be reached right now. You are still signed in; please "
        "try again in a moment.",
        "forward_access_token is on, the token is over and could not be renewed; the line "
        "not_refreshed of the session says why.",
        retry_after=5,
    ),
)
