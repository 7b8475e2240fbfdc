"""No value of the product shows a secret: not in its repr, in a log line, or in a traceback.

The traceback is one that shows local variables.
"""

import dataclasses
import importlib
import json
import pkgutil
import re
import traceback
from collections.abc import Iterator

import pytest
from harness.tokens import (
    ENTROPY_BYTES,
    NOW,
    RING,
    Signer,
    application,
    client,
    id_token_claims,
    pending,
    request,
)

import extproc
from extproc.addresses import Address
from extproc.core.cookies import Cookie
from extproc.core.decisions import (
    BackChannelLogout,
    Continue,
    EndListedSessions,
    EndSession,
    FrontChannelLogout,
    RedeemCode,
    Refresh,
)
from extproc.core.device import Device
from extproc.core.oidc.authorization import AuthorizationResponse
from extproc.core.oidc.claims import Claims
from extproc.core.oidc.id_token import UserInfo
from extproc.core.oidc.jose import SignedToken
from extproc.core.oidc.token import RefreshResponse, TokenResponse, code_grant
from extproc.core.session import Session, SessionId
from extproc.core.session_record import to_record
from extproc.provider.http import HttpResponse
from extproc.relying_party.pending_writes import PendingWrites
from extproc.relying_party.refresh_attempt import RefreshAttempt
from extproc.runtime.control import Start
from extproc.sessions.redis.connection import Login
from extproc.settings import Settings, from_text

# Names of fields that hold secrets, if their type is text, bytes or pairs of them.
SECRET = re.compile(
    r"token|secret|password|verifier|entropy|material|sealed|cookie|code|body|holder|authorization|claims|values|raw$"
)
# metrics, reason codes
NOT_THESE = ("extproc.metrics.exposition.Page.body", "extproc.core.reasons.reason.Reason.code")
NONE = {
    # By field: why it is no secret.
    "authorization_endpoint": "an address",
    "token_endpoint": "an address",
    "status_code": "a number",
    "set_cookies": "Cookie hides its value",
    "cookies": "Cookie hides its value",
    "claims": "Claims hides them",
    "max_claims_age": "a number",
    "claims_at": "a time",
    "claims_age": "a number",
    "acr_values": "names of levels",
    "forward_access_token": "yes or no",
    "required_claims": "values of the settings",
    "id_token_signed_response_alg": "an algorithm",
}
# Its users and passwords are in the README.
DEMO = "extproc.demo."


def dataclasses_of_ours() -> Iterator[type]:
    for module in pkgutil.walk_packages(extproc.__path__, "extproc."):
        if module.name.endswith("__main__") or module.name.startswith((DEMO, "extproc._wire")):
            continue
        for found in vars(importlib.import_module(module.name)).values():
            if (
                isinstance(found, type)
                and dataclasses.is_dataclass(found)
                and found.__module__ == module.name
            ):
                yield found


def test_a_field_that_is_named_like_a_secret_is_not_printed():
    shown = [
        f"{kind.__module__}.{kind.__qualname__}.{field.name}"
        for kind in dataclasses_of_ours()
        for field in dataclasses.fields(kind)
        if field.repr and SECRET.search(field.name) and field.name not in NONE
    ]
    assert [name for name in shown if name not in NOT_THESE] == []


def canary(what: str) -> str:
    return f"canary-{what}-0123456789-0123456789"


def session() -> Session:
    return Session(
        SessionId.of(b"s" * 32), "https://idp.example", "alice", Claims({"email": canary("claim")}), canary("idt"), canary("at"),
        canary("rt"), NOW + 300, NOW, NOW + 43_200, NOW,
    )  # fmt: skip


def settings() -> Settings:
    return from_text(
        json.dumps(
            {
                "secret": [canary("old"), canary("new")],
                "providers": {
                    "main": {
                        "issuer": "https://idp.example",
                        "client_id": "g",
                        "client_secret": canary("client"),
                    }
                },
                "applications": {
                    "app": {
                        "hosts": ["localhost"],
                        "upstream": "http://127.0.0.1:9600",
                        "provider": "main",
                    }
                },
                "store": {
                    "kind": "redis",
                    "servers": ["127.0.0.1:6379"],
                    "password": canary("redis"),
                },
            }
        )
    )


def values() -> list[object]:
    signed, kept = session(), settings()
    app = application(client=client(client_secret=canary("client")))
    answer = AuthorizationResponse(state="st", code=canary("code"), error=None, iss=None)
    record = to_record(app, signed, Device("Firefox", "192.0.2.7"), ENTROPY_BYTES * 2)
    return [
        signed, kept, app, record, answer,
        kept.key_ring(), RING, pending(),
        RedeemCode(answer, pending(), signed),
        Refresh(signed), EndSession(signed, ()), EndListedSessions(signed, "all", ()),
        Continue("session", ((canary("header"), canary("header")),), session=signed),
        BackChannelLogout(canary("logout")), FrontChannelLogout(canary("sid"), signed, ()),
        TokenResponse(canary("at"), canary("idt"), canary("rt"), 1), RefreshResponse(canary("at"), canary("idt"), canary("rt"), 1),
        code_grant(app.client, canary("code"), pending()),
        UserInfo("application/json", canary("userinfo").encode()),
        SignedToken.parse(Signer().sign(id_token_claims(email=canary("claim"))), "RS256"),
        HttpResponse(200, "application/json", canary("body").encode()),
        Cookie("c", canary("cookie"), True),
        request(f"/oauth2/callback?code={canary('code')}", cookie=f"c={canary('cookie')}", authorization=canary("bearer")),
        Login("u", kept.store.password), Start(1, Address("127.0.0.1", 1), kept),
    ]  # fmt: skip


def hidden(text: str) -> bool:
    derived = (session().id.value, pending().code_verifier, pending().nonce, repr(pending().secret))
    return "canary" not in text and not any(secret in text for secret in derived)


@pytest.mark.parametrize("value", values(), ids=lambda value: type(value).__name__)
def test_log_07_a_value_with_a_secret_prints_without_it(value):
    assert hidden(repr(value)) and hidden(str(value)) and hidden(f"{[value]}")
    held = {"deep": (value,)}
    try:
        raise RuntimeError(value)
    except RuntimeError as error:
        # Every local variable of every frame, as error reporters show them.
        shown = "".join(
            traceback.TracebackException.from_exception(error, capture_locals=True).format()
        )
    assert "held" in shown and held and hidden(shown)


def test_a_refresh_in_flight_prints_no_token():
    writes = PendingWrites(1)
    writes.put(session(), canary("holder").encode())
    attempt = RefreshAttempt(application(), None, request(), session(), None, writes, lambda: NOW)
    assert attempt.owner == canary("holder").encode()
    assert hidden(repr(attempt)) and hidden(repr(writes.get(session().id.key)))


def test_the_settings_hide_what_the_hand_over_carries():
    from extproc.settings import to_text

    kept = settings()
    assert all(canary(name) in to_text(kept) for name in ("old", "new", "client", "redis"))
    assert (
        hidden(repr(kept))
        and hidden(str(kept))
        and hidden(str(kept.model_dump()))
        and hidden(kept.model_dump_json())
    )
