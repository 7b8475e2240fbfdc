"""What a login obtains from the provider, and what it can do without."""

import pytest
from harness.memory_peers import MemoryProvider
from harness.tokens import application, pending, session

from extproc.core.decisions import RedeemCode
from extproc.core.oidc.authorization import AuthorizationResponse
from extproc.core.oidc.claims import Claims
from extproc.core.oidc.id_token import UserInfo
from extproc.core.oidc.token import TokenResponse
from extproc.core.provider_errors import (
    InvalidTokenResponse,
    InvalidUserInfo,
    ProviderFailed,
    ProviderTimeout,
    ProviderUnreachable,
)
from extproc.relying_party.login_tokens import check_sufficient, keys_of, redeemed, userinfo_of

APP = application()
PENDING = pending()
STEP = RedeemCode(AuthorizationResponse(PENDING.state, "code", None, None), PENDING, None)
TOKENS = TokenResponse("at", "id", "rt", 60)
WHOLE = {"sub": "alice", "name": "A", "groups": ["dev"], "email": "a", "email_verified": True}


async def test_the_tokens_of_a_response_that_is_refused_are_revoked() -> None:
    provider = MemoryProvider()

    def refused(operation: str, when: str) -> None:
        if (operation, when) == ("token", "after"):
            raise InvalidTokenResponse("x", (("refresh_token", "rt1"),))

    provider.met = refused
    with pytest.raises(InvalidTokenResponse):
        await redeemed(APP, provider, STEP)
    assert provider.redeemed == ["code"] and not provider.good


async def test_userinfo_is_called_where_the_settings_want_it() -> None:
    provider = MemoryProvider()
    assert isinstance(await userinfo_of(APP, provider, TOKENS), UserInfo)
    never = application(userinfo_at_login=False)
    assert await userinfo_of(never, provider, TOKENS) is None
    assert await keys_of(provider) == provider.held_keys


@pytest.mark.parametrize(
    "error", [InvalidUserInfo, ProviderFailed, ProviderTimeout, ProviderUnreachable]
)
async def test_a_login_can_do_without_userinfo_if_the_id_token_has_every_claim(
    error, caplog
) -> None:
    provider, problem = MemoryProvider(), error("UserInfo answers 429")

    def fails(operation: str, when: str) -> None:
        raise problem

    provider.met = fails
    assert await userinfo_of(APP, provider, TOKENS) is problem
    check_sufficient(APP, session(claims=Claims(WHOLE)), problem)
    assert [line.getMessage() for line in caplog.records] == ["userinfo_failed"]
    for name in WHOLE:
        less = {key: value for key, value in WHOLE.items() if key != name}
        with pytest.raises(error):
            check_sufficient(APP, session(claims=Claims(less)), problem)
