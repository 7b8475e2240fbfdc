"""Hostile input: documents of a provider, requests without a user, giant Cookie headers."""

from collections.abc import Callable, Mapping

from harness.fake_provider import FakeProvider

BAD_ADDRESSES = ("https://999.1.1.1/x", "https://[v1.a]/", "https://xn--/", "https://xn--a-ecp.ru/", f"https://{'a' * 64}/", "https://a..b/", "https://[x", "https://a:99999/", "https://a:b/", "https://\udcff/", "https://ex ample/", "https://a/\x00", "", "x", "//a", "https:", "https://", "https://@/", "http://a/", "ftp://a/", "https://a/" + "x" * 100_000, 7, None, [], {}, True)  # fmt: skip
ENDPOINTS_OF_A_PROVIDER = ("jwks_uri", "token_endpoint", "authorization_endpoint", "userinfo_endpoint", "end_session_endpoint", "revocation_endpoint", "introspection_endpoint", "issuer")  # fmt: skip
DOCUMENT, KEYS, TOKEN = "/.well-known/openid-configuration", "/jwks", "/token"
GARBAGE = {
    "nothing": b"",
    "bytes": b"\xff\xfe\x00",
    "no object": b"[]",
    "a number": b"1" * 5000,
    "deep": b"[" * 100_000,
    "huge": b'{"a": "' + b"a" * 2_000_000 + b'"}',
    "surrogate": b'{"issuer": "\\ud800", "jwks_uri": "https://\\ud800/"}',
    "infinite": b'{"keys": Infinity, "issuer": NaN}',
    "keys of nothing": b'{"keys": [null, 1, {}, {"kty": "RSA", "n": "AA", "e": ""}, {"kty": "OKP", "crv": [], "x": {}}]}',
}


def _address(name: str, value: object) -> Callable[[FakeProvider], None]:
    def say(provider: FakeProvider) -> None:
        provider.metadata = {"userinfo_endpoint": None, name: value}

    return say


def _answer(path: str, status: int, body: bytes) -> Callable[[FakeProvider], None]:
    def say(provider: FakeProvider) -> None:
        provider.answers = {path: lambda _: (status, {"content-type": "application/json"}, body)}

    return say


def _line(path: str, line: bytes) -> Callable[[FakeProvider], None]:
    def say(provider: FakeProvider) -> None:
        provider.answers = {path: lambda _: line}

    return say


DOCUMENTS: Mapping[str, Callable[[FakeProvider], None]] = {
    **{f"{name} {str(value)[:40]!r}": _address(name, value) for name in ENDPOINTS_OF_A_PROVIDER for value in BAD_ADDRESSES},
    **{f"{path} {name}": _answer(path, 200, body) for path in (DOCUMENT, KEYS, TOKEN) for name, body in GARBAGE.items()},
    **{f"{path} {status}": _answer(path, status, b"{}") for path in (DOCUMENT, KEYS, TOKEN) for status in (204, 301, 400, 401, 500)},
    **{f"{path} no HTTP": _line(path, b"\x00\xff garbage\r\n\r\n") for path in (DOCUMENT, KEYS, TOKEN)},
    **{f"{path} a bad length": _line(path, b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n") for path in (DOCUMENT, KEYS, TOKEN)},
    **{f"{path} a bad encoding": _line(path, b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}") for path in (DOCUMENT, KEYS, TOKEN)},
    **{f"{path} a bad location": _line(path, b"HTTP/1.1 302 OK\r\nlocation: https://[x\r\ncontent-length: 0\r\n\r\n") for path in (DOCUMENT, KEYS, TOKEN)},
}  # fmt: skip


def _asked(mode: str, dest: str, **more: str) -> dict[str, str]:
    headers = {"sec-fetch-mode": mode, "sec-fetch-dest": dest, "accept": "text/html,*/*;q=0.8"}
    return headers | {name.replace("_", "-"): value for name, value in more.items()}


# Requests to the gateway that no user made: method and headers.
EMBEDDED: Mapping[str, tuple[str, dict[str, str]]] = {
    "picture": ("GET", _asked("no-cors", "image", accept="image/*,*/*;q=0.8")),
    "style sheet": ("GET", _asked("no-cors", "style", accept="text/css,*/*;q=0.1")),
    "script": ("GET", _asked("no-cors", "script", accept="*/*")),
    "module": ("GET", _asked("cors", "script", accept="*/*")),
    "sound": ("GET", _asked("no-cors", "audio", accept="*/*")),
    "frame": ("GET", _asked("navigate", "iframe")),
    "old frame": ("GET", _asked("navigate", "frame")),
    "object": ("GET", _asked("navigate", "object")),
    "embed": ("GET", _asked("navigate", "embed")),
    "link prefetch": (
        "GET",
        _asked("no-cors", "empty", purpose="prefetch", sec_purpose="prefetch"),
    ),
    "speculation prefetch": ("GET", _asked("navigate", "document", sec_purpose="prefetch")),
    "anonymous prefetch": (
        "GET",
        _asked("navigate", "document", sec_purpose="prefetch;anonymous-client-ip"),
    ),
    "prerender": ("GET", _asked("navigate", "document", sec_purpose="prefetch;prerender")),
    "old prefetch": ("GET", _asked("navigate", "document", purpose="prefetch")),
    "service worker": ("GET", _asked("same-origin", "serviceworker", accept="*/*")),
    "manifest": ("GET", _asked("cors", "manifest", accept="*/*")),
    "fetch": ("GET", _asked("no-cors", "empty", accept="*/*")),
    "beacon": ("POST", _asked("no-cors", "empty", accept="*/*")),
    "form": ("POST", _asked("navigate", "document")),
    "form in a frame": ("POST", _asked("navigate", "iframe")),
}
ENDPOINTS = ("/oauth2/logout", "/payroll/oauth2/logout", "/oauth2/login", "/oauth2/callback", "/oauth2/sessions", "/oauth2/signed-out", "/oauth2/frontchannel-logout", "/oauth2/userinfo", "/x")  # fmt: skip

GIANTS = {
    "foreign": "foreign-cookie-{n}=x",
    "sessions": "extproc-session-{n}=x",
    "assertions": "extproc-assertion-{n}=x",
    "logins": "extproc-login-app-{n:08x}=x",
    "our sessions": "__Host-extproc-session-{n}=x",
    "our assertions": "__Host-extproc-assertion-{n}=x",
    "one assertion again": "__Host-extproc-assertion-app=x",
    "our logins": "__Host-extproc-login-app-{n:08x}=x",
    "ours among others": "a{n}=x; __Host-extproc-session-{n}=x",
    "ours of an application among others": "a{n}=x; __Host-extproc-login-app-{n:08x}=x",
    "names in one value": "extproc-assertion-{n} ",
    "commas": "a{n},__Host-extproc-session-app=x",
    "blanks": "x                    ",
    "nearly ours": "__Host-extproc-{n}=x",
    "equals": "==",
}


def giant(shape: str, length: int) -> str:
    """A Cookie header of about this length, of numbered cookies in one shape."""
    piece, parts, size, n = GIANTS[shape], [], 0, 0
    while size < length:
        parts.append(piece.format(n=n))
        size, n = size + len(parts[-1]) + 2, n + 1
    return "; ".join(parts)[:length].rstrip()
