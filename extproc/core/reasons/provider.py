"""Reasons about the provider: its errors, its responses, and its absence."""

from extproc.core.reasons.reason import Level, Reason

INFO, WARNING = Level.INFO, Level.WARNING
_NOT_IN, _LATER = "Sign-in did not complete", "Not available right now"
_NOT_COMPLETED = "The identity provider did not complete the sign-in."
_NOT_USABLE = "The identity provider's answer could not be used."


# error of the callback, as registered (RFC 6749 section 4.1.2.1, OpenID Connect Core section
# 3.1.2.6, Unmet Authentication Requirements)
_PERSON = {
    "access_denied": "The user declined, or a policy of the provider denies them this client: the "
    "provider's log has the cause.",
    "account_selection_required": "The provider could not ask the user for an account: prompt: "
    "select_account may help.",
    "consent_required": "The provider needs the user's consent, and did not ask for it: set "
    "prompt: consent, or grant it for all users at the provider.",
    "interaction_required": "The provider could not ask the user something: look at "
    "authorization_params, and at the provider's policies.",
    "login_required": "The provider could not ask the user to sign in: look at its policies for "
    "this client.",
    "unmet_authentication_requirements": "The provider cannot give any of acr_values to this "
    "user: enrol a second factor at the provider.",
}
_SETTINGS = {
    "invalid_request": "The provider rejects the parameters of the login: mostly a redirect_uri "
    "that is not registered as `extproc check` prints it, or a parameter of authorization_params.",
    "invalid_request_object": "The provider demands request objects, which the processor does not "
    "send: allow plain requests at the provider.",
    "invalid_request_uri": "The provider demands request objects, which the processor does not "
    "send: allow plain requests at the provider.",
    "invalid_scope": "The provider does not grant one of providers.NAME.scopes to this client: "
    "change the setting, or the client at the provider.",
    "registration_not_supported": "The processor does not request this: look at "
    "authorization_params.",
    "request_not_supported": "The processor does not request this: look at authorization_params.",
    "request_uri_not_supported": "The processor does not request this: look at "
    "authorization_params.",
    "server_error": "The provider met an error of its own: its log has the cause.",
    "unauthorized_client": "The client may not use the authorization code flow: allow it at the "
    "provider.",
    "unsupported_response_type": "The provider does not support response_type code, at least not "
    "for this client: allow it at the provider.",
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
        "The provider reports that it is overloaded or in maintenance: look at the provider.",
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
        "The provider's error code is not registered, so the processor does not repeat it: the "
        "provider's log has the cause.",
    ),
)

# about the provider's responses to the processor
FAULTS = (
    Reason(
        "code_refused",
        400,
        INFO,
        _NOT_IN,
        "The identity provider did not accept this sign-in any more. Please start again.",
        "The token endpoint reports invalid_grant: the code was too old, already used, or of "
        "another login. If every login ends so, PKCE or redirect_uri are changed on the way, or "
        "the provider's nodes do not share their codes.",
    ),
    Reason(
        "client_refused",
        502,
        WARNING,
        _NOT_IN,
        "The identity provider does not accept this service's credentials. Please contact the "
        "administrator.",
        "The token endpoint refuses the client: check client_id, client_secret, "
        "token_endpoint_auth_method, and that the grant is allowed. For a request with an access "
        "token it is the introspection endpoint, and access_tokens.introspection.",
    ),
    Reason(
        "invalid_provider_answer",
        502,
        WARNING,
        _NOT_IN,
        _NOT_USABLE,
        "The detail names what is wrong: a redirect, a status, a compressed or too long response "
        "(limits.response_bytes), or no key set. The cause is mostly a proxy between the processor "
        "and the provider: look at backchannel_url.",
    ),
    Reason(
        "invalid_token_response",
        502,
        WARNING,
        _NOT_IN,
        _NOT_USABLE,
        "The response of the token endpoint violates RFC 6749 or OpenID Connect; the detail names "
        "the fault. If id_token is missing, scopes lacks openid. If access_token is missing (Azure "
        "AD B2C leaves it out for the scope openid alone), add the client_id, or a scope of an "
        "API, to providers.NAME.scopes. At a login the tokens of the response are revoked; at a "
        "refresh its refresh token is kept.",
    ),
    Reason(
        "invalid_userinfo",
        502,
        WARNING,
        _NOT_IN,
        _NOT_USABLE,
        "UserInfo was refused, cannot be read, or has no sub; the detail names the fault. After "
        "401 or 403 the access token's scopes or audience do not fit (an API scope at Entra). A "
        "login needs no UserInfo if the ID token has all claims of identity.headers; "
        "providers.NAME.userinfo: never switches UserInfo off.",
    ),
    Reason(
        "userinfo_subject_mismatch",
        502,
        WARNING,
        _NOT_IN,
        _NOT_USABLE,
        "UserInfo is about another user than the ID token: a cache between the processor and the "
        "provider, or the provider itself, mixes up users.",
    ),
    Reason(
        "provider_unreachable",
        502,
        WARNING,
        _NOT_IN,
        "The identity provider could not be reached. Please try again.",
        "The detail has the address and the cause. Look at DNS, the firewall, the provider's "
        "certificate (ca_file) and backchannel_url.",
    ),
    Reason(
        "provider_failed",
        502,
        WARNING,
        _NOT_IN,
        "The identity provider met an error of its own. Please try again.",
        "An endpoint of the provider responds with 5xx or 429: look at the provider's log.",
    ),
    Reason(
        "provider_timeout",
        504,
        WARNING,
        _NOT_IN,
        "The identity provider did not answer in time. Please try again.",
        "A response was not complete within timeouts.call, or the whole login not within "
        "timeouts.callback: the trace shows which call was slow.",
    ),
)

# nothing that a later try needs was consumed
AWAY = (
    Reason(
        "provider_unavailable",
        503,
        WARNING,
        _LATER,
        "The identity provider cannot be reached right now. Please try again in a moment.",
        "The provider's metadata could not be fetched, and is fetched again; the detail has the "
        "cause. Look at issuer, backchannel_url and ca_file; /readyz lists what is missing.",
        retry_after=5,
    ),
    Reason(
        "invalid_provider_metadata",
        503,
        WARNING,
        _LATER,
        "The identity provider's own description could not be used. Please contact the "
        "administrator.",
        "The discovery document is wrong; the detail names the fault. Mostly issuer is not "
        "spelled as in the document; an issuer with {tenantid} in it serves many tenants, so set "
        "issuer to that of your tenant. An endpoint must not be on this machine unless issuer or "
        "backchannel_url is. A document elsewhere: metadata_url. `extproc check` shows all of it.",
        retry_after=5,
    ),
    Reason(
        "access_token_expired",
        503,
        WARNING,
        _LATER,
        "The identity provider cannot be reached right now. You are still signed in; please "
        "try again in a moment.",
        "forward_access_token is on, and the access token has expired and could not be renewed; "
        "the session's log line not_refreshed has the cause.",
        retry_after=5,
    ),
)
