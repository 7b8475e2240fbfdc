"""The subjects of the bench: extproc's gateway and others, each with an Envoy of its own.

Each Envoy has one worker, and all have the same upstream.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import yaml
from harness.browser import WebUser
from harness.envoy import EnvoyProcess, newest
from harness.fake_provider import FakeProvider
from harness.fake_server import Request
from harness.gateway import ROOT, Stack
from harness.ports import answers, free_port
from harness.processes import Process
from harness.providers import Place, Provider

T = "type.googleapis.com/envoy."
ROUTER = {
    "name": "router",
    "typed_config": {"@type": T + "extensions.filters.http.router.v3.Router"},
}


def cluster(name: str, port: int) -> dict[str, Any]:
    address = {
        "endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}
    }
    return {
        "name": name,
        "type": "STATIC",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [address]}]},
    }


def plain(
    port: int,
    upstream: int | None,
    filters: Sequence[dict[str, Any]] = (),
    clusters: Sequence[dict[str, Any]] = (),
    secrets: Sequence[dict[str, Any]] = (),
) -> str:
    """The configuration of a small Envoy: these filters, then the upstream or a fixed answer."""
    action = (
        {"direct_response": {"status": 200, "body": {"inline_string": "hello"}}}
        if upstream is None
        else {"route": {"cluster": "up"}}
    )
    hcm = {
        "@type": T + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "http_filters": [*filters, ROUTER],
        "route_config": {
            "virtual_hosts": [
                {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **action}]}
            ]
        },
    }
    listener = {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "hcm", "typed_config": hcm}]}],
    }
    ups = [cluster("up", upstream)] if upstream else []
    return yaml.safe_dump(
        {
            "static_resources": {
                "listeners": [listener],
                "clusters": [*ups, *clusters],
                "secrets": [*secrets],
            }
        },
        sort_keys=False,
    )


@contextmanager
def envoy(config: str, port: int) -> Iterator[EnvoyProcess]:
    program = next(
        newest().parent.parent.glob("lib/python3*/site-packages/envoy/_bin/envoy"), newest()
    )
    with EnvoyProcess(config, envoy=program, port=port) as running:
        yield running


@contextmanager
def upstream() -> Iterator[int]:
    """An Envoy with a fixed answer, faster than anything that is measured."""
    port = free_port()
    with envoy(plain(port, None), port):
        yield port


BROWSER = {
    "Accept": "text/html",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Site": "none",
}
SCRIPT_CALL = {
    "Accept": "application/json",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Dest": "empty",
    "Sec-Fetch-Site": "same-origin",
}


class Gateway(Stack):
    """extproc's gateway in front of the bench's upstream.

    With `reference`, the stock server takes the place of the processor.
    """

    def __init__(
        self,
        port: int,
        provider: Provider | None = None,
        *,
        reference: bool = False,
        applications: int = 1,
        rules: Sequence[Mapping[str, Any]] = (),
        env: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        upstream = f"http://127.0.0.1:{port}"
        more = {
            f"app-{index}": {
                "hosts": ["localhost"],
                "path_prefix": f"/app-{index}/",
                "upstream": upstream,
                "provider": "main",
            }
            for index in range(1, applications)
        }
        extra = {
            "applications": {"app": {"upstream": upstream, "rules": list(rules)}, **more},
            "gateway": {"access_log": "/dev/null"},
            "tracing": None,
            "log": {"level": "WARNING"},
            **settings,
        }
        super().__init__(provider or FakeProvider(behind=False), settings=extra, env=env)
        self._reference = reference

    def processor_pids(self) -> tuple[int, ...]:
        """The processes of `extproc serve`: it and its workers."""
        return (self.extproc.pid, *self.extproc.children)

    def start_extproc(self) -> Process:
        if not self._reference:
            return super().start_extproc()
        listen = self.settings["listen"]
        argv = [sys.executable, "-m", "benchmarks.reference", listen]
        self.extproc = Process(
            "reference",
            argv,
            log=self.directory / "extproc.log",
            env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}:{ROOT / 'tools'}"},
            cwd=self.directory,
        )
        return self.extproc.wait_ready(lambda: answers(int(listen.rpartition(":")[2])))


@contextmanager
def signed_in(gateway: Gateway) -> Iterator[WebUser]:
    with gateway.user() as user:
        assert user.go(gateway.url("/")).status_code == 200, user.journey()
        yield user


def jwt_authn(jwks: str, cookie: str, issuer: str, audience: str = "app") -> dict[str, Any]:
    """Envoy's jwt_authn with its cache, for a token in a cookie, and nothing else.

    cookie: its name; "" for a token in the header Authorization.
    """
    provider = {
        "issuer": issuer,
        "audiences": [audience],
        **({"from_cookies": [cookie]} if cookie else {}),
        "local_jwks": {"inline_string": jwks},
        "jwt_cache_config": {"jwt_cache_size": 10000},
    }
    rules = [{"match": {"prefix": "/"}, "requires": {"provider_name": "p"}}]
    return {
        "name": "jwt",
        "typed_config": {
            "@type": T + "extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {"p": provider},
            "rules": rules,
        },
    }


class Signed(FakeProvider):
    """A provider whose tokens are all signed.

    They are as large as Keycloak's for a user with a few roles.
    """

    def open(self, place: Place) -> None:
        super().open(place)
        self.answers["/token"] = self._signed

    def _signed(self, asked: Request) -> tuple[int, dict[str, str], bytes]:
        status, headers, body = self.truthful(asked)
        tokens = json.loads(body)
        for name, size in (("access_token", 500), ("refresh_token", 120), ("id_token", 300)):
            claims = {
                "iss": self.issuer,
                "sub": self.user,
                "aud": "gateway",
                "exp": int(time.time()) + 36_000,
            }
            tokens[name] = self.signer.sign({**claims, "rest": "x" * size})
        return status, headers, json.dumps({**tokens, "expires_in": 36_000}).encode()


def oauth2(issuer: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Envoy's own oauth2 filter for a provider, and its secrets."""
    names = ("token", "hmac")
    secrets = [
        {
            "name": name,
            "generic_secret": {"secret": {"inline_string": "0123456789abcdef0123456789abcdef"}},
        }
        for name in names
    ]
    config = {
        "token_endpoint": {"cluster": "idp", "uri": f"{issuer}/token", "timeout": "5s"},
        "authorization_endpoint": f"{issuer}/auth",
        "redirect_uri": "http://%REQ(:authority)%/callback",
        "redirect_path_matcher": {"path": {"exact": "/callback"}},
        "signout_path": {"path": {"exact": "/signout"}},
        "credentials": {
            "client_id": "gateway",
            "token_secret": {"name": "token"},
            "hmac_secret": {"name": "hmac"},
        },
        "auth_scopes": ["openid"],
    }
    return {
        "name": "oauth2",
        "typed_config": {"@type": T + "extensions.filters.http.oauth2.v3.OAuth2", "config": config},
    }, secrets


def public_keys(gateway: Stack) -> str:
    """The keys of assertions, from where Envoy gets them."""
    return (
        httpx.get(f"{gateway.admin}/.well-known/jwks.json", trust_env=False).raise_for_status().text
    )
