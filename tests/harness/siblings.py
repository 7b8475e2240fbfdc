"""A gateway over https on app.gw.test, and a hostile neighbour evil.gw.test, for a real browser.

with Siblings() as stack, stack.chromium() as context:
    context.new_page().goto(stack.evil("/"))    # may set cookies for gw.test, as any of its hosts

Every browser signs in as `stack.provider.user`, without a question.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext

from harness.chromium import browser
from harness.fake_provider import FakeProvider
from harness.gateway import Stack, merged

APP, EVIL, DOMAIN = "app.gw.test", "evil.gw.test", "gw.test"


class Siblings(Stack):
    names = (APP, EVIL, "127.0.0.1")

    def __init__(
        self, envoy: Path | None = None, settings: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(FakeProvider(), tls=True, envoy=envoy, settings=self._of)
        self.gateway = f"https://{APP}:{self.port}"
        self._more = settings or {}

    def _of(self, _: Stack) -> Mapping[str, Any]:
        evil = {"hosts": [EVIL], "upstream": self.app.url, "exclude": True}
        return merged({"applications": {"app": {"hosts": [APP]}, "evil": evil}}, self._more)

    def evil(self, path: str) -> str:
        return f"https://{EVIL}:{self.port}{path}"

    @contextmanager
    def chromium(self, *flags: str, back_forward_cache: bool = False) -> Iterator[BrowserContext]:
        """A browser with a new profile, see harness.chromium.browser."""
        rules = f"--host-resolver-rules=MAP *.{DOMAIN} 127.0.0.1"
        with browser(self, rules, *flags, back_forward_cache=back_forward_cache) as context:
            context.set_default_timeout(60_000)
            yield context
