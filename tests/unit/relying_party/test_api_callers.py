"""API callers: a token that is known decides at once, and any other one is a step."""

from dataclasses import replace

import pytest
from harness.tokens import NOW, access_token, application, request, token_profile

from extproc.core.access import Access
from extproc.core.access_conditions import Entry
from extproc.core.access_rules import Rule
from extproc.core.bearer_access import BearerAccess
from extproc.core.bearer_errors import InsufficientScope, InvalidAccessToken
from extproc.core.decisions import VerifyAccessToken
from extproc.core.oidc.access_token import AccessToken
from extproc.core.oidc.claims import Claims
from extproc.relying_party.api_callers import ApiCallers

PROFILE = token_profile()
APP = application(
    access=Access("app", (), (Rule("api", ("/",), accept=("bearer",)),), "d"),
    bearer=BearerAccess((PROFILE,)),
)
ASKED = replace(request("/x"), rule="api")
TOKEN = AccessToken(
    PROFILE, "alice", None, frozenset(), Claims({"sub": "alice"}), None, None, NOW, NOW + 60
)
SENT = access_token()


class Tokens:
    """Knows some tokens at once, and verifies others later."""

    def __init__(self, known, verified):
        self._known, self._verified = known, verified

    def known(self, application, token, now):
        return self._known.get(token)

    async def verify(self, application, request, token):
        if token not in self._verified:
            raise InvalidAccessToken("signature")
        return self._verified[token]


def callers(known=(), verified=()):
    made = ApiCallers({}, lambda: NOW + 0.5, 0)
    made._tokens = Tokens(dict.fromkeys(known, TOKEN), dict.fromkeys(verified, TOKEN))
    return made


def test_a_token_that_is_known_decides_at_once():
    assert callers(known=[SENT]).decide(APP, ASKED, SENT, NOW).reason == "bearer"


async def test_any_other_token_is_verified_in_a_step_that_names_its_provider():
    party = callers(verified=[SENT])
    step = party.decide(APP, ASKED, SENT, NOW)
    assert step == VerifyAccessToken(SENT, "main")
    assert (await party.perform(APP, ASKED, step)).set_headers == (("x-auth-sub", "alice"),)
    with pytest.raises(InvalidAccessToken):
        await party.perform(APP, ASKED, VerifyAccessToken("x", "main"))


async def test_a_verified_token_has_to_satisfy_the_rule():
    rule = Rule("api", ("/",), allow=(Entry(scopes=(frozenset({"a"}),)),), accept=("bearer",))
    asking = replace(APP, access=Access("app", (), (rule,), "d"))
    with pytest.raises(InsufficientScope):
        callers(known=[SENT]).decide(asking, ASKED, SENT, NOW)
