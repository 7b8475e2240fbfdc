"""Refusals about the response of a provider, or about its absence.

Refusal
`- ProviderFault                  about the provider's response
   |- CodeRefused                 code_refused
   |- ClientRefused               client_refused
   |- InvalidAnswer               invalid_provider_answer
   |- InvalidTokenResponse        invalid_token_response
   |- InvalidIDToken              id_token_<check>
   |- InvalidUserInfo             invalid_userinfo
   |- SubjectMismatch             userinfo_subject_mismatch
   |- ProviderUnreachable         provider_unreachable
   |- ProviderFailed              provider_failed
   `- ProviderTimeout             provider_timeout
"""

from extproc.core.errors import Refusal

# (token_type_hint, token), as a revocation names them (RFC 7009 section 2.1)
Tokens = tuple[tuple[str, str], ...]


class ProviderFault(Refusal):
    """Base of refusals about a response of the provider, or about its absence."""


class CodeRefused(ProviderFault):
    reason = "code_refused"


class ClientRefused(ProviderFault):
    reason = "client_refused"


class InvalidAnswer(ProviderFault):
    reason = "invalid_provider_answer"


class InvalidTokenResponse(ProviderFault):
    """tokens: what the response has of tokens, which are revoked and never used."""

    reason = "invalid_token_response"

    def __init__(self, detail: str = "", tokens: Tokens = ()) -> None:
        super().__init__(detail)
        self.tokens = tokens


class InvalidIDToken(ProviderFault):
    """The ID token fails a check of OpenID Connect Core section 3.1.3.7. check: its name, such as
    signature or nonce.
    """

    def __init__(self, check: str, detail: str = "") -> None:
        self.check = check
        self.reason = f"id_token_{check}"
        super().__init__(detail)


class UnverifiedToken(InvalidIDToken):
    """The token's signature was not verified, so nothing is known of its claims."""


class UnknownKey(UnverifiedToken):
    """No key of the set fits; a newer key set may have one."""

    def __init__(self, detail: str = "") -> None:
        super().__init__("key", detail)


class WrongSignature(UnverifiedToken):
    """The signature does not fit the key; a newer key set may have another key of the same kid."""

    def __init__(self, detail: str = "") -> None:
        super().__init__("signature", detail)


class InvalidUserInfo(ProviderFault):
    reason = "invalid_userinfo"


class UnverifiedUserInfo(InvalidUserInfo):
    """Signed UserInfo whose key is not known, or whose signature does not fit it."""


# a newer key set may help
KEY_ERRORS = (UnknownKey, WrongSignature, UnverifiedUserInfo)


class SubjectMismatch(ProviderFault):
    reason = "userinfo_subject_mismatch"


class ProviderUnreachable(ProviderFault):
    reason = "provider_unreachable"


class ProviderFailed(ProviderFault):
    reason = "provider_failed"


class ProviderTimeout(ProviderFault):
    reason = "provider_timeout"
