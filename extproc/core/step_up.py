"""Demands on a login: what an application demands of it (acr_values, max_age), and whether a login
meets that (OpenID Connect Core sections 3.1.2.1 and 3.1.3.7, RFC 9470).

If a session does not meet the demand, a navigation goes back to the provider with these parameters,
and every other request gets 401 with the demand. The callback checks the new login. One that does
not meet the demand ends with a page, from which only the user starts another try, so a browser is
never redirected in circles.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from urllib.parse import urlencode

from extproc.core.errors import AcrNotSatisfied, AuthTimeTooOld, InsufficientAuthentication
from extproc.core.provider_errors import InvalidIDToken

# Parameters of the authorization request that the processor sets itself, or that would make the
# provider read others in their place. Compared in lower case.
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
# not "none": with it no user can sign in
PROMPTS = ("login", "consent", "select_account", "create")


@dataclass(frozen=True)
class Demand:
    """What an application demands of a login.

    Attributes:
        acr_values: the accepted values of acr, the preferred one first; empty: any.
        max_age: seconds that the user's authentication at the provider may be ago; None: any.
        prompt: the parameter prompt of the authorization request.
        parameters: further parameters of the authorization request.
    """

    acr_values: tuple[str, ...] = ()
    max_age: int | None = None
    prompt: str | None = None
    parameters: tuple[tuple[str, str], ...] = ()

    @cached_property
    def query(self) -> str:
        """The parameters that it adds to the authorization request, after a leading `&`; or ""."""
        parameters = list(self.parameters)
        if self.acr_values:
            parameters.append(("acr_values", " ".join(self.acr_values)))
        if self.max_age is not None:
            parameters.append(("max_age", str(self.max_age)))
        if self.prompt is not None:
            parameters.append(("prompt", self.prompt))
        return "&" + urlencode(parameters) if parameters else ""

    @cached_property
    def challenge(self) -> str:
        """The demand as parameters of the header WWW-Authenticate (RFC 9470 section 3)."""
        parameters = ['error="insufficient_user_authentication"']
        if self.acr_values:
            parameters.append(f'acr_values="{" ".join(self.acr_values)}"')
        if self.max_age is not None:
            parameters.append(f'max_age="{self.max_age}"')
        return ", ".join(parameters)

    def met(self, acr: str | None, auth_time: int | None, now: int, leeway: float) -> bool:
        """Whether a session meets the demand.

        Args:
            acr: the acr of the session's login.
            auth_time: when its user authenticated, in seconds since the epoch.
            now: seconds since the epoch.
            leeway: seconds by which the provider's clock may differ.
        """
        return self._acr_met(acr) and self._recent(auth_time, now, leeway)

    def check(self, acr: str | None, auth_time: int | None, now: int, leeway: float) -> None:
        """Check that a login which has just been completed meets the demand.

        Args:
            acr: the acr of the ID token.
            auth_time: the auth_time of the ID token.
            now: seconds since the epoch.
            leeway: seconds by which the provider's clock may differ.

        Raises:
            InvalidIDToken: auth_time is missing although max_age was sent, or in the future.
            AuthTimeTooOld: the user authenticated too long ago.
            AcrNotSatisfied: acr is none of acr_values.
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

    def joined(self, other: "Demand") -> "Demand | None":
        """The demand that a login meets if it meets both; None if no login can. Prompt and
        parameters are those of this one.
        """
        acr_values = self.acr_values or other.acr_values
        if self.acr_values and other.acr_values:
            acr_values = tuple(each for each in other.acr_values if each in self.acr_values)
            if not acr_values:
                return None
        ages = [age for age in (self.max_age, other.max_age) if age is not None]
        return replace(self, acr_values=acr_values, max_age=min(ages, default=None))

    def insufficient(self) -> InsufficientAuthentication:
        """The refusal of a request that cannot start a login."""
        return InsufficientAuthentication(self.challenge)

    def not_after(self, auth_time: int | None) -> int | None:
        """The time at which max_age is reached, by the provider's clock; no assertion outlives it.
        None: never.
        """
        if self.max_age is None or auth_time is None:
            return None
        return auth_time + self.max_age

    def _acr_met(self, acr: str | None) -> bool:
        return not self.acr_values or acr in self.acr_values

    def _recent(self, auth_time: int | None, now: int, leeway: float) -> bool:
        if self.max_age is None:
            return True
        # A time in the future says nothing about how long ago it was.
        return auth_time is not None and auth_time - leeway <= now <= (
            auth_time + self.max_age + leeway
        )


# the demand that every login meets
NOTHING = Demand()
