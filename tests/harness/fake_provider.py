"""A fake OpenID Provider that is correct until a test changes a claim, a key or an answer.

    with Stack(FakeProvider()) as stack, stack.user() as user:
        provider = stack.provider
        provider.claims["iss"] = "https://evil.example"   # replaces a claim of the ID token
        provider.claims["nonce"] = None                   # removes one
        provider.answers["/token"] = lambda request: (500, {}, b"")   # see harness.fake_server
        with provider.holding("/token"): ...              # requests there wait
        provider.reset()                                  # correct again, nothing recorded

A refresh token is good once: the second use of one ends every token of its login, as careful
providers do. There is no password: /auth redirects back immediately, for `user`, or for the user
whom the header x-user names. The provider serves in a thread of its own on 127.0.0.1.
"""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import urlencode

from harness.fake_server import Answer, FakeServer, Reply, Request
from harness.providers import SECRET, Place
from harness.tokens import Signer, public

EXPIRES_IN = 300  # seconds, of an access token
ENDPOINTS = {
    "authorization_endpoint": "/auth",
    "token_endpoint": "/token",
    "jwks_uri": "/jwks",
    "userinfo_endpoint": "/me",
    "revocation_endpoint": "/revoke",
    "introspection_endpoint": "/introspect",
    "end_session_endpoint": "/logout",
}


@dataclass
class Login:
    """A user's login: the parameters of its authorization request, and its valid refresh token.

    `refresh_token` is empty before the code was redeemed and after a refresh token was used twice.
    """

    user: str
    parameters: dict[str, str]
    refresh_token: str = ""


class FakeProvider(FakeServer):
    """A provider for a Stack (harness.providers.Provider). Every attribute may change at any time.

    Changes that a test makes; None as a value removes the entry:

    - `claims`, `header`: of ID tokens; `userinfo`: of /me; `metadata`: of the discovery document
    - `callback`: parameters of the redirect back; `refreshed`: members of the answer to a refresh
    - `answers`: by path, in place of the correct answer; `keys`, `signer`: published, and used
    - `user`: who signs in; `expires_in`: seconds that an access token lives
    - `waits`: /auth shows a page, and the user signs in with a click on its link

    What it recorded, in order: `requests`, `redeemed` codes, `revoked` tokens, and `grants`, the
    refresh tokens that it received.
    """

    gateway_port: int | None = None

    def __init__(
        self,
        *,
        behind: bool = True,
        user: str = "alice",
        claims: Mapping[str, Any] | None = None,
        userinfo: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        answers: Mapping[str, Answer] | None = None,
        client: Mapping[str, Any] | None = None,
        expires_in: int = EXPIRES_IN,
    ) -> None:
        """Prepare a provider; `open` or `start` lets it answer.

        Args:
            behind: The processor and browsers reach it through the Stack's Envoy.
            client: Entries of `providers.main` in the settings, beside issuer and credentials.
            user, claims, userinfo, metadata, answers, expires_in: What `reset` goes back to.
        """
        super().__init__()
        self.behind = behind
        self.upstream: str | None = self.url if behind else None
        self.issuer = self.url
        self.client = dict(client or {})
        self._initial_user = user
        self._initial_expires_in = expires_in
        self._initial: dict[str, Mapping[str, Any]] = {
            "claims": claims or {},
            "userinfo": userinfo or {},
            "metadata": metadata or {},
            "answers": answers or {},
        }
        self._codes: dict[str, Login] = {}
        self._logins: dict[str, Login] = {}  # by refresh token
        self._users: dict[str, str] = {}  # by access token
        self.reset()

    def reset(self) -> None:
        """Go back to the correct answers and to the values given at the start; forget all records.

        Logins stay valid: their codes and refresh tokens are good as before.
        """
        self.user = self._initial_user
        self.expires_in = self._initial_expires_in
        self.waits = False
        self.claims: dict[str, Any] = dict(self._initial["claims"])
        self.userinfo: dict[str, Any] = dict(self._initial["userinfo"])
        self.metadata: dict[str, Any] = dict(self._initial["metadata"])
        self.answers = dict(self._initial["answers"])
        self.header: dict[str, Any] = {}
        self.callback: dict[str, Any] = {}
        self.refreshed: dict[str, Any] = {}
        self.keys: list[Any] = [public("RS256")]
        self.signer = Signer()
        self.forget()

    def forget(self) -> None:
        """Forget what was requested so far."""
        self.requests: list[Request] = []
        self.redeemed: list[str] = []
        self.revoked: list[str] = []
        self.grants: list[str] = []

    # as a harness.providers.Provider

    def open(self, place: Place) -> None:
        self.issuer = place.origin if self.behind else self.url
        self.start()

    def settings(self, place: Place) -> dict[str, Any]:
        issuer = place.origin if self.behind else self.url
        settings = {
            "issuer": issuer,
            "client_id": "gateway",
            "client_secret": SECRET,
            "frontchannel_logout": "sid",
        }
        if place.ca_file and issuer.startswith("https:"):
            settings["ca_file"] = str(place.ca_file)
        return {**settings, **self.client}

    # the correct answers

    def truthful(self, request: Request) -> Reply:
        match request.path:
            case "/.well-known/openid-configuration":
                return _json(_present(self._document()))
            case "/jwks":
                return _json({"keys": self.keys})
            case "/auth":
                return self._authorize(request)
            case "/token" if request.form.get("grant_type") == "refresh_token":
                return self._refresh(request)
            case "/token":
                return self._redeem(request)
            case "/me":
                return _json(_present(self._userinfo(request)))
            case "/revoke":
                self.revoked.append(request.form.get("token", ""))
                return 200, {}, b""
            case "/logout":
                target = request.query.get("post_logout_redirect_uri", "/")
                query = urlencode({"state": request.query.get("state", "")})
                return 303, {"location": f"{target}?{query}"}, b""
        return 404, {}, b""

    def user_of(self, request: Request) -> str:
        """Who signs in with this authorization request."""
        return request.headers.get("x-user") or self.user

    def id_token_claims(self, login: Login, nonce: str | None) -> dict[str, Any]:
        """The claims of an ID token, before `claims` changes them."""
        now = int(time.time())
        return {
            "iss": self.issuer,
            "sub": login.user,
            "aud": "gateway",
            "exp": now + 300,
            "iat": now,
            "nonce": nonce,
            "groups": ["dev"],
        }

    def _document(self) -> dict[str, Any]:
        endpoints = {name: self.issuer + path for name, path in ENDPOINTS.items()}
        return {"issuer": self.issuer, **endpoints, **self.metadata}

    def _userinfo(self, request: Request) -> dict[str, Any]:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        user = self._users.get(token, self.user)
        email = {"email": f"{user}@example.com", "email_verified": True}
        return {"sub": user, **email, "name": user.title(), **self.userinfo}

    def _authorize(self, request: Request) -> Reply:
        code = secrets.token_urlsafe(16)
        self._codes[code] = Login(self.user_of(request), request.query)
        parameters = {"code": code, "state": request.query["state"], **self.callback}
        location = f"{request.query['redirect_uri']}?{urlencode(_present(parameters))}"
        if self.waits:
            page = f'<a href="{escape(location)}">Sign in</a>'
            return 200, {"content-type": "text/html"}, page.encode()
        return 303, {"location": location}, b""

    def _redeem(self, request: Request) -> Reply:
        login = self._codes.pop(request.form.get("code", ""), None)
        if login is None or not _may_redeem(login, request.form):
            return _json({"error": "invalid_grant"}, 400)
        self.redeemed.append(request.form["code"])
        return _json(self._tokens(login, login.parameters.get("nonce")))

    def _refresh(self, request: Request) -> Reply:
        token = request.form.get("refresh_token", "")
        self.grants.append(token)
        login = self._logins.get(token)
        if login is None or login.refresh_token != token:
            # It was used before, so the newer token may be in the wrong hands: neither is good.
            if login is not None:
                login.refresh_token = ""
            return _json({"error": "invalid_grant"}, 400)
        return _json(_present({**self._tokens(login, None), **self.refreshed}))

    def _tokens(self, login: Login, nonce: str | None) -> dict[str, Any]:
        """The members of a token response. nonce: of a login; a refresh has none."""
        claims = _present({**self.id_token_claims(login, nonce), **self.claims})
        login.refresh_token = f"rt-{secrets.token_hex(8)}"
        self._logins[login.refresh_token] = login
        access_token = f"at-{login.user}-{secrets.token_hex(8)}"
        self._users[access_token] = login.user
        return {
            "access_token": access_token,
            "refresh_token": login.refresh_token,
            "token_type": "Bearer",
            "expires_in": self.expires_in,
            "id_token": self.signer.sign(claims, **self.header),
        }


def _may_redeem(login: Login, form: Mapping[str, str]) -> bool:
    """Whether PKCE (RFC 7636 4.6) and redirect_uri (RFC 6749 4.1.3) are those of the login."""
    digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return login.parameters["code_challenge"] == challenge and login.parameters[
        "redirect_uri"
    ] == form.get("redirect_uri")


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _json(value: object, status: int = 200) -> Reply:
    return status, {"content-type": "application/json"}, json.dumps(value).encode()
