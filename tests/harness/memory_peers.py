"""A store and a provider in memory, for tests of what happens at each of their awaits.

Each operation has its effect between two checkpoints, as an operation across a network has: a
caller that is cancelled at the second one does not learn of the effect. `met` is called at both,
with the operation's name and "before" or "after", and may raise what the operation then raises.
Before its effect an operation waits for `open`.
"""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TypeVar

import trio

from extproc.core.oidc.client import FormRequest
from extproc.core.oidc.id_token import UserInfo
from extproc.core.oidc.jose import KeySet
from extproc.core.oidc.metadata import ProviderMetadata
from extproc.core.oidc.token import RefreshResponse, TokenResponse
from extproc.core.provider_errors import CodeRefused, InvalidUserInfo
from extproc.core.session_record import Record
from extproc.provider.cache import Newer
from extproc.sessions.store import LISTED, Page, Replaced, WouldBlock
from harness.tokens import METADATA, NOW, Signer, id_token_claims, key_set

T = TypeVar("T")
Met = Callable[[str, str], None]


def nothing(operation: str, when: str) -> None:
    """Let every operation succeed."""


def opened() -> trio.Event:
    event = trio.Event()
    event.set()
    return event


class MemoryStore:
    """A SessionStore in memory. remote: `get_nowait` never knows, as with Redis."""

    def __init__(self) -> None:
        self.met: Met = nothing
        self.open = opened()
        self.remote = False
        self.records: dict[bytes, Record] = {}
        self.locks: dict[bytes, tuple[bytes, int]] = {}
        self.claims: dict[bytes, int] = {}
        self.graves: dict[bytes, int] = {}
        self.missing: str | None = None

    async def _do(self, operation: str, effect: Callable[[], T]) -> T:
        await self.open.wait()
        self.met(operation, "before")
        result = effect()
        await trio.lowlevel.checkpoint()
        self.met(operation, "after")
        return result

    def _known(self, key: bytes, now: int) -> Record | None:
        record = self.records.get(key)
        return record if record is not None and record.expires > now else None

    def _held(self, key: bytes, owner: bytes, now: int) -> bool:
        other, until = self.locks.get(key, (owner, 0))
        return other == owner or until <= now

    def get_nowait(self, key: bytes, now: int) -> Record | None:
        if self.remote:
            raise WouldBlock
        return self._known(key, now)

    async def get(self, key: bytes, now: int) -> Record | None:
        return await self._do("get", lambda: self._known(key, now))

    async def put(self, record: Record, replaces: bytes | None = None) -> None:
        def effect() -> None:
            self.records.pop(replaces or b"", None)
            self.records[record.key] = record

        await self._do("put", effect)

    async def touch(self, key: bytes, now: int) -> None:
        await self._do("touch", lambda: None)

    async def delete(self, key: bytes) -> None:
        await self._do("delete", lambda: self.records.pop(key, None))

    async def tagged(self, tag: bytes, now: int, limit: int = LISTED) -> tuple[Record, ...]:
        def found() -> tuple[Record, ...]:
            carrying = [each for each in self.records.values() if tag in each.tags]
            carrying.sort(key=lambda each: -each.touched)
            return tuple(replace(each, sealed=b"") for each in carrying[:limit])

        return await self._do("tagged", found)

    async def tagged_page(self, tag: bytes, after: bytes | None, limit: int, now: int) -> Page:
        def found() -> Page:
            keys = sorted(key for key, each in self.records.items() if tag in each.tags)
            keys = [key for key in keys if key > (after or b"")]
            some = tuple(replace(self.records[key], sealed=b"") for key in keys[:limit])
            return Page(some, keys[limit - 1] if len(keys) > limit else None)

        return await self._do("tagged_page", found)

    async def end(self, tag: bytes, now: int, spare: Collection[bytes] = ()) -> int:
        def effect() -> int:
            carrying = [each.key for each in self.records.values() if tag in each.tags]
            found = [key for key in carrying if key not in spare]
            for key in found:
                del self.records[key]
            return len(found)

        return await self._do("end", effect)

    async def page(self, after: bytes | None, limit: int, now: int) -> Page:
        return await self._do("page", lambda: Page(tuple(self.records.values()), None))

    async def count(self, now: int) -> int | None:
        return await self._do("count", lambda: len(self.records))

    async def lock(self, key: bytes, owner: bytes, seconds: int, now: int) -> bool:
        def effect() -> bool:
            if not self._held(key, owner, now):
                return False
            self.locks[key] = (owner, now + seconds)
            return True

        return await self._do("lock", effect)

    async def unlock(self, key: bytes, owner: bytes) -> None:
        def effect() -> None:
            if self.locks.get(key, (b"", 0))[0] == owner:
                del self.locks[key]

        await self._do("unlock", effect)

    async def replace(self, record: Record, owner: bytes, now: int) -> Replaced:
        def effect() -> Replaced:
            if self._known(record.key, now) is None:
                return Replaced.GONE
            if self.locks.get(record.key, (b"", 0))[0] != owner:
                return Replaced.NOT_MINE
            self.records[record.key] = record
            return Replaced.WRITTEN

        return await self._do("replace", effect)

    async def use_once(self, key: bytes, expires: int, now: int) -> bool:
        def effect() -> bool:
            return key not in self.claims and self.claims.setdefault(key, expires) == expires

        return await self._do("claim", effect)

    async def revoke_before(self, key: bytes, at: int, expires: int) -> None:
        await self._do("bury", lambda: self.graves.update({key: max(at, self.graves.get(key, 0))}))

    def revoked_before_nowait(self, keys: Sequence[bytes], now: int) -> int:
        if self.remote:
            raise WouldBlock
        return max(self.graves.get(key, 0) for key in keys)

    async def revoked_before(self, keys: Sequence[bytes], now: int) -> int:
        return await self._do("buried", lambda: max(self.graves.get(key, 0) for key in keys))

    async def start(self) -> None: ...

    async def aclose(self) -> None: ...


class MemoryProvider:
    """The provider of a RelyingParty, in memory. Codes and refresh tokens are good once.

    good: the refresh tokens that it would accept now. lost: those whose answer no caller received.
    """

    name = "main"

    def __init__(self) -> None:
        self.met: Met = nothing
        self.open = opened()
        self.known = True  # whether its metadata are known without a request
        self.signer = Signer()
        self.held_keys, self.newer = key_set(), key_set()
        self.codes = {"code"}
        self.good: set[str] = set()
        self.lost: set[str] = set()
        self.redeemed: list[str] = []
        self.now = NOW
        self._made = 0

    def metadata_nowait(self) -> ProviderMetadata | None:
        return METADATA if self.known else None

    async def _do(self, operation: str, effect: Callable[[], T]) -> T:
        await self.open.wait()
        self.met(operation, "before")
        before = set(self.good)
        result = effect()
        try:
            await trio.lowlevel.checkpoint()
            self.met(operation, "after")
        except BaseException:
            self.lost |= self.good - before
            raise
        return result

    async def metadata(self) -> ProviderMetadata:
        return METADATA if self.known else await self._do("metadata", lambda: METADATA)

    async def keys(self) -> KeySet:
        return await self._do("keys", lambda: self.held_keys)

    def keys_nowait(self) -> KeySet | None:
        return self.held_keys if self.known else None

    async def newer_keys(self) -> KeySet:
        return await self._do("newer_keys", lambda: self.newer)

    async def newer_keys_for_logout(self) -> Newer[KeySet]:
        return await self._do("newer_keys_for_logout", lambda: Newer(self.newer, certain=True))

    async def token(self, form: FormRequest) -> TokenResponse:
        def effect() -> TokenResponse:
            code = dict(form.parameters)["code"]
            if code not in self.codes:
                raise CodeRefused("invalid_grant")
            self.codes.remove(code)
            self.redeemed.append(code)
            return TokenResponse.parse(self._tokens(id_token_claims()))

        return await self._do("token", effect)

    async def refresh(self, form: FormRequest) -> RefreshResponse:
        def effect() -> RefreshResponse:
            token = dict(form.parameters)["refresh_token"]
            if token not in self.good:
                raise CodeRefused("invalid_grant")
            self.good.remove(token)
            return RefreshResponse.parse(
                self._tokens(id_token_claims(nonce=None, iat=self.now, exp=self.now + 300))
            )

        return await self._do("refresh", effect)

    async def userinfo(self, access_token: str) -> UserInfo | None:
        def effect() -> UserInfo:
            if not access_token:
                raise InvalidUserInfo("no token")
            return UserInfo("application/json", b'{"sub": "alice", "name": "Alice"}')

        return await self._do("userinfo", effect)

    async def revoke(self, form: FormRequest) -> None:
        await self._do("revoke", lambda: self.good.discard(dict(form.parameters)["token"]))

    def _tokens(self, claims: dict[str, object]) -> bytes:
        self._made += 1
        self.good.add(f"rt{self._made}")
        tokens = {
            "access_token": f"at{self._made}",
            "refresh_token": f"rt{self._made}",
            "token_type": "Bearer",
        }
        return json.dumps(
            {**tokens, "expires_in": 300, "id_token": self.signer.sign(claims)}
        ).encode()
