"""The stored sessions of a Stack, to read, and to make older, so that no test waits for an expiry.

kept = Kept(stack)
kept.age(user)                  # the access token of this browser's session ended a second ago
kept.session(user)              # a Session, or None
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import trio

from extproc.core.device import Device
from extproc.core.sealing import ENTROPY, KeyRing
from extproc.core.session import Session, SessionId
from extproc.core.session_cookie import read_session, session_cookies
from extproc.core.session_index import subject_tags
from extproc.core.session_record import from_record, to_record
from extproc.sessions.factory import open_store
from extproc.sessions.store import SessionStore
from extproc.settings import CookieSettings, load
from harness.browser import WebUser
from harness.gateway import Stack
from harness.tokens import ENTROPY_BYTES, application, client, request

T = TypeVar("T")


class Kept:
    """The sessions of the application `app`, in the settings' store or in the browser's cookies."""

    def __init__(self, stack: Stack) -> None:
        self._store = load(stack.config).store
        self._url = stack.url("/")
        self._application = application(
            url=stack.url("/"),
            client=client(issuer=stack.settings["providers"]["main"]["issuer"]),
            ring=KeyRing.of([stack.settings["secret"].encode()]),
        )

    def session(self, user: WebUser) -> Session | None:
        if isinstance(self._store, CookieSettings):
            return read_session(self._application, request(cookie=user.cookies.header(self._url)))
        session_id = self._id(user)

        async def read(store: SessionStore) -> Session | None:
            record = await store.get(session_id.key, int(time.time()))
            return (
                from_record(self._application, session_id, record) if record is not None else None
            )

        return self._with_store(read)

    def age(self, user: WebUser, **changes: object) -> None:
        """Store a session whose access token has expired. changes: other fields of it."""
        now = int(time.time())
        session = self.session(user)
        assert session is not None
        older = replace(
            session, **{"access_issued": now - 301, "access_expires": now - 1, **changes}
        )
        if isinstance(self._store, CookieSettings):
            cookies = session_cookies(self._application, request(), older, now, ENTROPY_BYTES)
            user.cookies.receive(self._url, (cookie.header() for cookie in cookies))
            return
        record = to_record(self._application, older, Device(), bytes(range(2 * ENTROPY)))
        self._with_store(lambda store: store.put(record))

    def multiply(self, user: WebUser, count: int) -> None:
        """Store so many more sessions of the same user at the same application, older ones first.

        No two of them share a session at the provider, and no browser has their cookies.
        """
        session = self.session(user)
        assert session is not None
        records = [
            to_record(
                self._application,
                replace(
                    session,
                    id=SessionId.of(number.to_bytes(32, "big")),
                    sid=f"sid of {number}",
                    created=session.created - count + number,
                    touched=session.touched - 60,
                ),
                Device(),
                bytes(range(2 * ENTROPY)),
            )
            for number in range(count)
        ]

        async def put_all(store: SessionStore) -> None:
            for record in records:
                await store.put(record)

        self._with_store(put_all)

    def of_user(self, user: WebUser) -> int:
        """How many sessions the store has of this user."""
        session = self.session(user)
        assert session is not None
        tag = subject_tags(self._application.ring, session.issuer, session.subject)[0]

        async def count(store: SessionStore) -> int:
            return len(await store.tagged(tag, int(time.time())))

        return self._with_store(count)

    def _id(self, user: WebUser) -> SessionId:
        (cookie,) = (
            cookie for cookie in user.cookies if cookie.name.endswith("extproc-session-app")
        )
        session_id = SessionId.parse(cookie.value)
        assert session_id is not None
        return session_id

    def _with_store(self, work: Callable[[SessionStore], Awaitable[T]]) -> T:
        settings = self._store
        assert not isinstance(settings, CookieSettings)

        async def run() -> T:
            store = open_store(settings)
            try:
                return await work(store)
            finally:
                await store.aclose()

        return trio.run(run)
