"""Reasons of tokens that failed a check: id_token_<check> and logout_token_<check>, by the checks'
names in the code.
"""

from extproc.core.reasons.reason import Level, Reason

_CLOCKS = "Compare the clocks here and there, then timeouts.clock_skew."
# of a signed token, whatever it is for
_SIGNED = {
    "malformed": "It is no signed token at all, or a claim has the wrong type; encrypted tokens "
    "are not supported.",
    "algorithm": "It is signed with another algorithm than "
    "providers.NAME.id_token_signed_response_alg: set what the provider uses.",
    "header": "Its header has crit, zip or b64, which nobody asked for: look at the client's "
    "settings at the provider.",
    "type": "typ of its header is that of another kind of token.",
    "key": "No key of the provider's jwks_uri fits its kid, not even newly fetched: the "
    "provider's nodes do not share their keys, or "
    "jwks_uri is cached on the way.",
    "signature": "Its signature is not right: a forgery, or two keys of the provider with one kid.",
    "issuer": "iss is not providers.NAME.issuer: set what the provider's discovery document says.",
    "subject": "sub is missing, too long, no printable text, or at a refresh another user's.",
    "audience": "aud is not client_id alone, or azp is another client: look at the audience "
    "mappers of the client at the provider.",
    "expired": f"exp is missing or past. {_CLOCKS}",
    "issued_at": f"iat is missing, in the future or an hour ago. {_CLOCKS}",
    "not_before": f"nbf is in the future or no number. {_CLOCKS}",
}
_OF_ID_TOKEN = {
    "nonce": "nonce is not the one that was sent: a replayed token, or a provider that does not "
    "give it back.",
    "at_hash": "at_hash is not of the access token that came with it: the provider mixes up "
    "answers.",
    "auth_time": "auth_time is missing although max_age was sent, in the future, or at a "
    f"refresh not that of the login. {_CLOCKS}",
}
_OF_LOGOUT_TOKEN = {
    "events": "events lacks the back-channel logout event: it is another kind of token.",
    "nonce": "It has a nonce: somebody posted an ID token.",
    "jti": "jti is missing, too long or no text: the provider cannot be protected from replays "
    "without it.",
    "sid": "sid is too long or no text.",
    "subject": "It has neither a usable sub nor sid, so it names nobody.",
    "replayed": "Its jti was seen before: the provider repeats it, or somebody else does. The "
    "sessions are ended already.",
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
# anybody can post one, so it is no warning
LOGOUT_TOKEN = tuple(
    Reason(
        f"logout_token_{check}",
        400,
        Level.INFO,
        "Not signed out",
        "This is no logout token of the identity provider for this service. Nothing was changed.",
        f"A logout token fails a check. {remedy}",
    )
    for check, remedy in {**_SIGNED, **_OF_LOGOUT_TOKEN}.items()
)
