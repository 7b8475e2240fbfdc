"""Reasons of tokens that fail a check: id_token_<check>, logout_token_<check> and
bearer_token_<check>, with the names that the checks have in the code.
"""

from extproc.core.reasons.reason import Level, Reason

_CLOCKS = "Compare the clocks of the processor and the provider, then timeouts.clock_skew."
# checks of any signed token
_SIGNED = {
    "malformed": "It is no signed token at all, or a claim has the wrong type; encrypted tokens "
    "are not supported.",
    "algorithm": "It is signed with another algorithm than "
    "providers.NAME.id_token_signed_response_alg: set the algorithm that the provider uses. HS256, "
    "HS384 and HS512 (a signature with the client secret) are not supported: choose RS256 or "
    "another algorithm with a public key for this client at the provider.",
    "header": "Its header has crit, zip or b64, which the processor does not request: look at the "
    "client's settings at the provider.",
    "type": "typ of its header is that of another kind of token.",
    "key": "No key of the provider's jwks_uri fits its kid, even after another fetch: the "
    "provider's nodes do not share their keys, or a cache on the way keeps old keys.",
    "signature": "Its signature is wrong, even after another fetch of the keys: a forgery, two "
    "keys of the provider with one kid, or a cache on the way that keeps a replaced key.",
    "issuer": "iss is not providers.NAME.issuer: set the issuer of the provider's discovery "
    "document.",
    "subject": "sub is missing, too long, no printable text, or at a refresh another user's.",
    "audience": "aud is not client_id alone, or azp is another client: look at the audience "
    "mappers of the client at the provider. If the provider lists other clients of its own "
    "(Zitadel does), name them in providers.NAME.trusted_audiences; azp must then be client_id.",
    "expired": f"exp is missing or past. {_CLOCKS}",
    "issued_at": f"iat is missing, in the future, or more than an hour ago. {_CLOCKS}",
    "not_before": f"nbf is in the future or no number. {_CLOCKS}",
}
_OF_ID_TOKEN = {
    "nonce": "nonce is not the value that was sent: the token is replayed, or the provider does "
    "not return the nonce (LinkedIn), and cannot be used. docs/providers.md.",
    "at_hash": "at_hash is not the hash of the access token in the same response: the provider "
    "mixes up responses.",
    "auth_time": "auth_time is missing although max_age was sent, it is in the future, or at a "
    f"refresh it is earlier than the login. {_CLOCKS}",
}
_OF_LOGOUT_TOKEN = {
    "events": "events lacks the back-channel logout event: it is another kind of token.",
    "nonce": "It has a nonce, so it is an ID token.",
    "jti": "jti is missing, too long or no printable text: the provider cannot be protected from "
    "replays without it.",
    "sid": "sid is too long or no printable text.",
    "subject": "It has no usable sub and no usable sid, so it names no session.",
    "replayed": "A token with its jti was used before: the provider, or an attacker, repeats it. "
    "The sessions were ended the first time.",
}
_TIMES = ("expired", "not_before")
_OF_ACCESS_TOKEN = {
    **{check: _SIGNED[check] for check in ("malformed", "header", "key", "signature", *_TIMES)},
    "algorithm": "It is signed with another algorithm than "
    "providers.NAME.access_tokens.signing_alg: set the algorithm that the provider uses for access "
    "tokens. HS256, HS384 and HS512 are not supported.",
    "type": "typ of its header is none of providers.NAME.access_tokens.types, or a claim (typ, "
    "token_use, token_type, events) says that it is another kind of token. A provider whose access "
    "tokens are plain JWTs needs types and required_claims.",
    "id_token": "aud has a client_id of the processor, or there is a claim of ID tokens (nonce, "
    "at_hash): the caller has to send the access token, and to ask the provider for one whose "
    "audience is the API.",
    "claims": "A claim has none of the values that providers.NAME.access_tokens.required_claims "
    "demands, so it is not proved to be an access token.",
    "issuer": "iss is the issuer of none of the providers whose tokens count for the application "
    "(bearer.providers).",
    "audience": "aud is missing, or has none of applications.NAME.bearer.audiences: the caller has "
    "to ask the provider for this audience (resource, audience, or a scope of the API), or the "
    "token is another API's.",
    "subject": "sub is missing, too long or no printable text.",
    "issued_at": f"iat is missing or in the future. {_CLOCKS}",
    "auth_time": f"auth_time is in the future. {_CLOCKS}",
    "claims_age": "It was issued longer ago than max_claims_age of the deciding rule: the caller "
    "has to get a new one.",
    "sender_constrained": "cnf binds it to a key (DPoP, or a client certificate), and the "
    "processor verifies no proof of that key: have the provider issue plain bearer tokens for this "
    "API.",
    "inactive": "The provider's introspection does not call it active: it has expired or was "
    "revoked, or it is none of this provider's.",
    "opaque": "It is no JWT, and applications.NAME.bearer.opaque names no provider to ask about "
    "it.",
}

ID_TOKEN = tuple(
    Reason(
        f"id_token_{check}",
        502,
        Level.WARNING,
        "Sign-in did not complete",
        "The identity provider's answer could not be used.",
        f"The ID token fails a check. {remedy}",
    )
    for check, remedy in {**_SIGNED, **_OF_ID_TOKEN}.items()
)
# every client can post a logout token, so a wrong one is no warning
LOGOUT_TOKEN = (
    *(
        Reason(
            f"logout_token_{check}",
            400,
            Level.INFO,
            "Not signed out",
            "This is no logout token of the identity provider for this service. Nothing was "
            "changed.",
            f"A logout token fails a check. {remedy}",
        )
        for check, remedy in {**_SIGNED, **_OF_LOGOUT_TOKEN}.items()
    ),
    Reason(
        "logout_token_key_pending",
        503,
        Level.INFO,
        "Not available right now",
        "The identity provider's keys are not known yet. Please try again in a moment.",
        "A logout token names a key that is not in the provider's key set, and the set was fetched "
        "less than ten seconds ago for another logout token, or many tokens wait for it. A "
        "provider that has just replaced its key sends the token again; if it never succeeds, it "
        "is no token of this provider.",
        retry_after=10,
    ),
)
# every client can send an access token
ACCESS_TOKEN = (
    *(
        Reason(
            f"bearer_token_{check}",
            401,
            Level.INFO,
            "Access token not accepted",
            "The access token cannot be used here. A new one from the identity provider may help.",
            f"An API caller's access token fails a check. {remedy}",
        )
        for check, remedy in _OF_ACCESS_TOKEN.items()
    ),
    Reason(
        "bearer_token_key_pending",
        503,
        Level.INFO,
        "Not available right now",
        "The identity provider's keys are not known yet. Please try again in a moment.",
        "An access token names a key that is not in the provider's key set, and the set was "
        "fetched less than ten seconds ago for another access token, or many tokens wait for it. "
        "If it never succeeds, it is no token of this provider.",
        retry_after=10,
    ),
    Reason(
        "too_many_introspections",
        429,
        Level.INFO,
        "Too many invalid tokens",
        "Too many invalid access tokens came from this address. Please try again in a minute.",
        "One client address brought 60 opaque access tokens in a minute that were not active at "
        "the provider, and it is not asked about more of them for now. Active tokens do not count: "
        "look for a caller that goes on with expired tokens. If it is the address of a proxy "
        "before Envoy, set gateway.trusted_hops.",
        retry_after=60,
    ),
)
# what is wrong with the request of an API caller, or with what its token is good for
API_CALLER = (
    Reason(
        "bearer_token_required",
        401,
        Level.DEBUG,
        "Access token needed",
        "This address is for programs that bring an access token.",
        "The deciding rule accepts access tokens alone (accept: [bearer]), and the request has no "
        "header Authorization of the scheme Bearer. docs/api-callers.md.",
    ),
    Reason(
        "invalid_authorization",
        400,
        Level.INFO,
        "Malformed request",
        "The header Authorization of this request is malformed, or there are several.",
        "The deciding rule accepts access tokens, and the request has two headers Authorization, "
        "or one that is not `Bearer` and one token: mostly a mistake of the caller.",
    ),
    Reason(
        "insufficient_scope",
        403,
        Level.INFO,
        "No access",
        "The access token does not allow this.",
        "The access token has not the scopes that allow of the application or of the deciding rule "
        "asks for; the detail names the key, and WWW-Authenticate the scopes. The caller has to "
        "ask the provider for a token with these scopes, which the provider has to allow.",
    ),
)
