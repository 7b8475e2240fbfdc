"""What an application demands of a login beyond a right password, and whether a login meets it
(OpenID Connect Core sections 3.1.2.1 and 3.1.3.7, RFC 9470).

A session that does not meet it sends a navigation back to the provider with these parameters, and
tells everything else what is missing. What comes back is checked in the callback, where a login
that still does not meet it ends with a page: only a user starts another try, so nobody goes round
in circles.
"""

from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlencode

from extproc.core.errors import (
    AcrNotSatisfied,
    AuthTimeTooOld,
    InsufficientAuthentication,
    InvalidIDToken,
)

# What we say ourselves, or what would have the provider read something else in place of it;
# compared in lower case.
OURS = frozenset(
    (
        "acr_values",
        "client_id",
        "client_secret",
        "code_challenge",
        "code_challenge_method",
        "max_age",
        "nonce",
        "prompt",
        "redirect_uri",
        "request",
        "request_uri",
        "response_mode",
        "response_type",
        "scope",
        "state",
    )
)
PROMPTS = ("login", "consent", "select_account", "create")  # not none: with it nobody can sign in


@dataclass(frozen=True)
class Demand:
    """acr_values: one of them is needed, the best first; none: any will do. max_age: seconds since
    the user signed in at the provider.

    parameters: whatever else the authorization request says.
    """

    acr_values: tuple[str, ...] = ()
    max_age: int | None = None
    prompt: str | None = None
    parameters: tuple[tuple[str, str], ...] = ()

    @cached_property
    def query(self) -> str:
        """What it adds to the authorization request, with & at its head; "" is nothing."""
        said = list(self.parameters)
        if self.acr_values:
            said.append(("acr_values", " ".join(self.acr_values)))
        if self.max_age is not None:
            said.append(("max_age", str(self.max_age)))
        if self.prompt is not None:
            said.append(("prompt", self.prompt))
        return "&" + urlencode(said) if said else ""

    @cached_property
    def challenge(self) -> str:
        """The parameters of WWW-StartLogin that say what is missing (RFC 9470 section 3)."""
        said = ['error="insufficient_user_authentication"']
        if self.acr_values:
            said.append(f'acr_values="{" ".join(self.acr_values)}"')
        if self.max_age is not None:
            said.append(f'max_age="{self.max_age}"')
        return ", ".join(said)

    def met(self, acr: str | None, auth_time: int | None, now: int, leeway: float) -> bool:
        """Whether a session is enough. leeway: seconds that the provider's clock may differ from
        ours.
        """
        return self._acr_met(acr) and self._recent(auth_time, now, leeway)

    def check(self, acr: str | None, auth_time: int | None, now: int, leeway: float) -> None:
        """The same for a login that has just come back. Raises InvalidIDToken, AuthTimeTooOld,
        AcrNotSatisfied.
        """
        if self.max_age is not None:
            if auth_time is None:
                raise InvalidIDToken("auth_time", "auth_time is missing, although max_age was sent")
            if auth_time > now + leeway:
                raise InvalidIDToken("auth_time", "auth_time is in the future; check both clocks")
            if not self._recent(auth_time, now, leeway):
                raise AuthTimeTooOld(
                    "auth_time is older than max_age: the provider did not ask the user again"
                )
        if not self._acr_met(acr):
            raise AcrNotSatisfied("acr is missing" if acr is None else "acr is none of acr_values")

    def insufficient(self) -> InsufficientAuthentication:
        """What to raise where no login can be started."""
        return InsufficientAuthentication(self.challenge)

    def not_after(self, auth_time: int | None) -> int | None:
        """No assertion outlives this, by the provider's clock; None: no bound."""
        return (
            auth_time + self.max_age if self.max_age is not None and auth_time is not None else None
        )

    def _acr_met(self, acr: str | None) -> bool:
        return not self.acr_values or acr in self.acr_values

    def _recent(self, auth_time: int | None, now: int, leeway: float) -> bool:
        return self.max_age is None or (
            auth_time is not None and now <= auth_time + self.max_age + leeway
        )


NOTHING = Demand()
