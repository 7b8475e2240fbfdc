"""What a request of a user comes to, by the generated routes and decide(), without a session in any
store: the user is made of claims.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from extproc.core.access_conditions import Facts
from extproc.core.access_rules import DEFAULT
from extproc.core.application import Application
from extproc.core.bearer import presented
from extproc.core.decide import decide
from extproc.core.decisions import Continue, Decision
from extproc.core.encoding import b64encode
from extproc.core.errors import Refusal
from extproc.core.http import Request
from extproc.core.oidc.claims import Claims
from extproc.core.oidc.id_token import about_user
from extproc.core.session import ID_BYTES, Session, SessionId
from extproc.core.session_access import facts
from extproc.envoyconfig.snapshot import HttpListener, generated
from extproc.explain.access import conditions
from extproc.explain.agreement import admitted_by_envoy, disagreement
from extproc.explain.callers import Token, decided
from extproc.explain.cors import is_preflight
from extproc.explain.peer import UNKNOWN, Peer, failing, unknown
from extproc.explain.route import ChosenRoute, choose, remedy
from extproc.explain.sample import SampleRequest, routed
from extproc.explain.words import Word, described
from extproc.settings import Settings
from extproc.settings.domain import applications


@dataclass(frozen=True, slots=True)
class User:
    """A signed-in user.

    Attributes:
        claims: as the provider's ID token has them; `sub` is text.
        auth_age: seconds since the user authenticated; None: the provider does not say.
        claims_age: seconds since the claims were received.
    """

    claims: Mapping[str, Any] = field(repr=False)
    auth_age: int | None = 0
    claims_age: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a request comes to.

    Attributes:
        text: for the operator.
        word: the word for it, if it has one.
        status: the status of the answer; None where the application answers.
        rule: the rule that decides, "" for none.
        shadow: the rule in shadow mode beside it, "" for none.
        identity: whether the application gets the user's identity.
        why: what keeps the user out: conditions that do not hold, or what lifts a refusal of
            Envoy's.
        fault: why the outcome cannot be trusted, or "".
    """

    text: str
    word: Word | None = None
    status: int | None = None
    rule: str = ""
    shadow: str = ""
    identity: bool = False
    why: tuple[str, ...] = ()
    fault: str = ""


class Judge:
    """Finds what requests come to, by one set of settings."""

    def __init__(self, settings: Settings, now: int, listener: HttpListener | None = None) -> None:
        """Args:
        settings: the settings.
        now: seconds since the epoch.
        listener: Envoy's; by default as it is generated from the settings.
        """
        self._settings = settings
        self._now = now
        self._listener = listener or generated(settings).listeners[0]

    @cached_property
    def _applications(self) -> Mapping[str, Application]:
        return applications(self._settings, self._settings.key_ring())

    def outcome(
        self,
        sample: SampleRequest,
        user: User | None = None,
        peer: Peer = UNKNOWN,
        token: Token | None = None,
    ) -> Outcome:
        """What a request comes to.

        Args:
            sample: the request; without Accept and Sec-Fetch headers it is a navigation.
            user: who is signed in; None: nobody.
            peer: the client, whose address and certificate rules compare.
            token: the access token that `sample` brings in Authorization, if it brings one.
        """
        sample = sample.as_navigation()
        refusal = sample.refusal(self._settings, self._listener)
        if refusal is not None:
            return Outcome(f"400 by Envoy: {refusal}", status=400)
        request = sample.received(self._settings)
        route = choose(self._listener, request)
        if route is None:
            return Outcome("404 by Envoy: there is no route", status=404)
        application = self._applications.get(route.owner)
        fault = disagreement(application, request, route) if application is not None else ""
        by_envoy = _by_envoy(route, request, peer, fault)
        if by_envoy is not None:
            return by_envoy
        application = self._applications[route.application]
        asked = routed(request, route)
        if token is not None and presented(application, asked) is not None:
            return self._by_token(application, asked, route, token, fault)
        return self._decided(application, asked, route, user, fault)

    def _by_token(
        self,
        application: Application,
        request: Request,
        route: ChosenRoute,
        token: Token,
        fault: str,
    ) -> Outcome:
        """What the processor decides by an access token.

        Args:
            application: the application of the route.
            request: the request as the processor gets it.
            route: the route.
            token: the token.
            fault: what is known to be wrong.
        """
        decision, known = decided(application, request, token, self._now)
        admitted = isinstance(decision, Continue)
        word, status, text = described(decision, identity=admitted, signed_in=True)
        if isinstance(decision, Refusal) and known is None:
            why: tuple[str, ...] = (decision.detail,)
        else:
            why = () if admitted else self._failing(application, known, route)
        return Outcome(text, word, status, route.rule, route.shadow, admitted, why, fault)

    def _decided(
        self,
        application: Application,
        request: Request,
        route: ChosenRoute,
        user: User | None,
        fault: str,
    ) -> Outcome:
        """What the processor decides.

        Args:
            application: the application of the route.
            request: the request as the processor gets it.
            route: the route.
            user: who is signed in.
            fault: what is known to be wrong.
        """
        session = session_of(application, user, self._now) if user is not None else None
        decision: Decision | Refusal
        try:
            decision = decide(application, request, session, self._now)
        except Refusal as refusal:
            decision = refusal
        admitted = isinstance(decision, Continue) and decision.session is not None
        if session is not None and not admitted and not fault:
            fault = _let_in_by_envoy(application, session, route, self._now)
        word, status, text = described(decision, identity=admitted, signed_in=session is not None)
        known = None if admitted or session is None else facts(application, session)
        why = self._failing(application, known, route)
        return Outcome(text, word, status, route.rule, route.shadow, admitted, why, fault)

    def _failing(
        self, application: Application, user: Facts | None, route: ChosenRoute
    ) -> tuple[str, ...]:
        """The conditions of the deciding rule that do not hold for a user; none of nobody."""
        if user is None:
            return ()
        rule = application.access.rule(route.rule) or DEFAULT
        found = conditions(self._settings, application, user, rule, self._now)
        return tuple(str(condition) for condition in found if not condition.holds)


def _let_in_by_envoy(
    application: Application, session: Session, route: ChosenRoute, now: int
) -> str:
    """What is wrong where the processor keeps a user out, and Envoy alone would not; or ""."""
    if not admitted_by_envoy(application, session, route, now):
        return ""
    return "Envoy alone would let the user in by an assertion, and the processor does not"


def session_of(application: Application, user: User, now: int) -> Session:
    """A session of a user, whose tokens cannot be renewed.

    Args:
        application: the application that the user signed in to.
        user: the user.
        now: seconds since the epoch.
    """
    received = now - user.claims_age
    acr = user.claims.get("acr")
    issued = b64encode(json.dumps({"iat": received}).encode())
    return Session(
        id=SessionId.of(bytes(ID_BYTES)),
        issuer=application.client.issuer,
        subject=str(user.claims["sub"]),
        claims=Claims(about_user(user.claims)),
        id_token=f".{issued}.",
        access_token="",
        refresh_token=None,
        access_expires=now + application.session_lifetime,
        created=received,
        expires=now + application.session_lifetime,
        touched=now,
        auth_time=None if user.auth_age is None else now - user.auth_age,
        acr=acr if isinstance(acr, str) else None,
        access_issued=received,
    )


def _by_envoy(route: ChosenRoute, request: Request, peer: Peer, fault: str) -> Outcome | None:
    """The outcome where Envoy does not call the processor; None where it does.

    Args:
        route: the route.
        request: the request.
        peer: the client.
        fault: what is known to be wrong.
    """
    if route.cors and is_preflight(request):
        return Outcome("200 by Envoy's answer to a preflight", status=200, fault=fault)
    if route.answer is not None and not route.application:
        lifted = remedy(route.name)
        return Outcome(
            f"{route.answer.status} by Envoy's route {route.name}",
            status=route.answer.status,
            rule=route.rule,
            why=(lifted,) if lifted else (),
            fault=fault,
        )
    missing = unknown(route, peer)
    if missing:
        return Outcome("unknown", rule=route.rule, fault=missing)
    why = tuple(failing(route, peer))
    if why:
        return Outcome("403 by Envoy", status=403, rule=route.rule, why=why)
    if not route.application:
        return Outcome("allow, without an identity", "allow", rule=route.rule, fault=fault)
    return None
