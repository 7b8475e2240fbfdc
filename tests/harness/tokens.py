"""Values for tests of the core: an application, a provider's keys, tokens with any content."""

import base64
import json
import random
from dataclasses import dataclass
from functools import cache
from typing import Any

from joserfc import jwk, jws

from extproc.core.application import Application
from extproc.core.encoding import b64encode
from extproc.core.http import Request
from extproc.core.login import login_cookie
from extproc.core.oidc.access_token import AccessTokenProfile
from extproc.core.oidc.authorization import PendingAuthorization
from extproc.core.oidc.claims import Claims
from extproc.core.oidc.client import Client, ClientCredentials
from extproc.core.oidc.jose import KeySet
from extproc.core.oidc.metadata import ProviderMetadata
from extproc.core.sealing import ENTROPY, KeyRing
from extproc.core.session import Session, SessionId

ISSUER = "https://idp.example"
NOW = 1_800_000_000
SECRET = b"an old tree keeps its secrets well, they say"
RING = KeyRing.of([SECRET])
IDENTITY = (
    ("x-auth-sub", "sub"),
    ("x-auth-email", "email"),
    ("x-auth-name", "name"),
    ("x-auth-groups", "groups"),
)
ENTROPY_BYTES = bytes(range(ENTROPY))
METADATA = ProviderMetadata(
    ISSUER,
    f"{ISSUER}/auth",
    f"{ISSUER}/logout",
    f"{ISSUER}/token",
    f"{ISSUER}/jwks",
    f"{ISSUER}/me",
    f"{ISSUER}/revoke",
    False,
    f"{ISSUER}/introspect",
)


def client(**changes: Any) -> Client:
    values: dict[str, Any] = {
        "issuer": ISSUER,
        "client_id": "gateway",
        "redirect_uri": "https://app.example/oauth2/callback",
        "auth_method": "client_secret_basic",
        "client_secret": "s3cret",
        "scope": "openid email",
    }
    return Client(**(values | changes))


def application(**changes: Any) -> Application:
    values: dict[str, Any] = {
        "name": "app",
        "url": "https://app.example/",
        "hosts": ("app.example", "other.example"),
        "client": client(),
        "ring": RING,
        "identity": IDENTITY,
        "frontchannel_logout": "sid",
    }
    return Application(**(values | changes))


def pending(
    application: Application | None = None,
    *,
    secret: bytes = b"p" * 32,
    created: int = NOW,
    return_to: str = "/wanted?a=1",
) -> PendingAuthorization:
    issuer = application.client.issuer if application is not None else ISSUER
    return PendingAuthorization(secret, issuer, created, return_to)


def cookie_header(application: Application, *attempts: PendingAuthorization) -> str:
    cookies = (login_cookie(application, attempt, ENTROPY_BYTES) for attempt in attempts)
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in cookies)


BROWSER = {
    "accept": "text/html,*/*;q=0.8",
    "sec-fetch-mode": "navigate",
    "sec-fetch-dest": "document",
    "sec-fetch-site": "none",
}


def request(
    target: str = "/wanted?a=1",
    *,
    method: str = "GET",
    authority: str = "app.example",
    public: bool = False,
    **headers: str,
) -> Request:
    """A browser's navigation. headers: underscores for hyphens; "" removes one."""
    sent = BROWSER | {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(
        "app",
        public,
        method,
        target,
        authority,
        tuple((name, value) for name, value in sent.items() if value),
    )


@cache
def _noise(length: int) -> str:
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
    return "".join(random.Random(length).choices(letters, k=length))


def session(noise: int = 0, **changes: Any) -> Session:
    """A session with an access token of so many characters.

    No compression makes the token smaller than three quarters.
    """
    values: dict[str, Any] = {
        "id": SessionId.of(b"s" * 32),
        "issuer": ISSUER,
        "subject": "alice",
        "claims": Claims({"sub": "alice"}),
        "id_token": "idt",
        "access_token": "at" + _noise(noise),
        "refresh_token": "rt",
        "access_expires": NOW + 300,
        "created": NOW,
        "expires": NOW + 43_200,
        "touched": NOW,
    }
    return Session(**(values | changes))


@cache
def _rsa(name: str) -> Any:
    return jwk.RSAKey.generate_key(2048)


@cache
def key(alg: str, name: str = "1") -> Any:
    match alg[:2]:
        case "RS" | "PS":
            return _rsa(name)  # Shared by all tests, because making keys is slow.
        case "ES":
            return jwk.ECKey.generate_key(
                {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}[alg]
            )
        case _:
            return jwk.OKPKey.generate_key("Ed25519")


def public(kind: str, name: str = "1", **members: Any) -> dict[str, Any]:
    """A key of a JWK set with these changes. None removes a member."""
    entry = {
        **key(kind, name).as_dict(private=False),
        "kid": f"{kind}-{name}",
        "use": "sig",
        "alg": kind,
        **members,
    }
    return {name: value for name, value in entry.items() if value is not None}


def key_set(*entries: Any) -> KeySet:
    return KeySet.parse(json.dumps({"keys": list(entries or [public("RS256")])}).encode())


@dataclass(frozen=True)
class Signer:
    """Makes compact tokens with any header."""

    alg: str = "RS256"
    name: str = "1"

    def sign(self, claims: Any, **header: Any) -> str:
        """Sign a token. A header of None is left out.

        The header's alg may lie: the signature is made with `self.alg`.
        """
        full = {"alg": self.alg, "kid": f"{self.alg}-{self.name}", **header}
        head = b64encode(
            json.dumps({name: value for name, value in full.items() if value is not None}).encode()
        )
        body = b64encode(claims if isinstance(claims, bytes) else json.dumps(claims).encode())
        signature = jws.JWSRegistry.algorithms[self.alg].sign(
            f"{head}.{body}".encode(), key(self.alg, self.name)
        )
        return f"{head}.{body}.{b64encode(signature)}"


def id_token_claims(**changes: Any) -> dict[str, Any]:
    """The claims of a valid ID token for pending(), with changes. None removes a claim."""
    claims = {
        "iss": ISSUER,
        "sub": "alice",
        "aud": "gateway",
        "exp": NOW + 300,
        "iat": NOW,
        "nonce": pending().nonce,
        "email": "alice@example.com",
        "email_verified": True,
        "groups": ["admins", "dev"],
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


API = "https://api.example"


def token_profile(**changes: Any) -> AccessTokenProfile:
    """What access tokens for the API have to be, with changes."""
    values: dict[str, Any] = {
        "provider": "main",
        "issuer": ISSUER,
        "alg": "RS256",
        "types": ("at+jwt",),
        "required_claims": (),
        "scope_claim": "scope",
        "audiences": frozenset({API}),
        "client_ids": frozenset({"gateway", "introspector"}),
        "clock_skew": 60.0,
        "groups_claim": "groups",
        "trust_email": False,
        "introspection": ClientCredentials("introspector", "client_secret_basic", "s3cret"),
    }
    return AccessTokenProfile(**(values | changes))


def access_token_claims(**changes: Any) -> dict[str, Any]:
    """The claims of a valid access token for token_profile(), with changes. None removes a
    claim.
    """
    claims = {
        "iss": ISSUER,
        "sub": "alice",
        "aud": API,
        "exp": NOW + 300,
        "iat": NOW,
        "client_id": "machine",
        "scope": "orders:read orders:write",
        "jti": "one",
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


def access_token(header: dict[str, Any] | None = None, **changes: Any) -> str:
    """A signed access token with changed claims."""
    return Signer().sign(access_token_claims(**changes), **({"typ": "at+jwt"} | (header or {})))


def payload(token: str) -> dict[str, Any]:
    """The claims of a JWT, not verified."""
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


# A session of alice with two groups, one of whose names has a comma.
WITH_GROUPS = Session(
    SessionId.of(b"s" * 32),
    ISSUER,
    "alice",
    Claims(
        {
            "sub": "alice",
            "email": "alice@example.com",
            "email_verified": True,
            "groups": ["a,b", "dev"],
        }
    ),
    "idt",
    "at",
    "rt",
    NOW + 300,
    NOW,
    NOW + 43_200,
    NOW,
)
