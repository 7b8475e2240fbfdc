"""The names that the generated Envoy configuration and the processor agree on."""

from harness.tokens import application, request

from extproc.core.decide import decide
from extproc.core.errors import Refusal
from extproc.core.http import READ_HEADERS


def test_everything_the_core_reads_is_forwarded():
    known = set(READ_HEADERS)

    class Recording(type(request())):
        def header(self, name):
            assert name in known, name
            return super().header(name)

    for target in (
        "/private",
        "/oauth2/logout",
        "/oauth2/login",
        "/oauth2/callback?state=x",
        "/oauth2/userinfo",
    ):
        for method in ("GET", "POST"):
            for headers in ((), (("sec-fetch-mode", "navigate"),), (("accept", "text/html"),)):
                try:
                    decide(
                        application(),
                        Recording("app", False, method, target, "app.example", headers),
                        None,
                        0,
                    )
                except Refusal:
                    continue
