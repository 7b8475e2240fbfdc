"""Settings with a rule of each kind, and users for them."""

from typing import Any

from extproc.core.application import Application
from extproc.settings import Settings
from extproc.settings.domain import applications
from harness.envoy_config import APP, OPEN, simple

RULES: list[dict[str, Any]] = [
    {
        "name": "admin",
        "paths": ["/admin/"],
        "allow": {"groups": ["admins"], "acr_values": ["mfa"]},
    },
    {"name": "read", "paths": ["/api/"], "methods": ["GET"], "max_claims_age": "15m"},
    {"name": "hooks", "paths": ["/hooks/"], "login": "none", "networks": ["10.0.0.0/8", "::1"]},
    {"name": "inside", "paths": ["/inside/"], "networks": ["10.0.0.0/8"]},
    {"name": "docs", "paths": ["/docs/"], "login": "optional"},
    {"name": "metrics", "paths": ["/metrics"], "deny": True},
    {
        "name": "fresh",
        "paths": ["/fresh/"],
        "allow": [{"groups": ["admins"]}, {"users": ["bob"], "max_age": "10m"}],
    },
    {
        "name": "tried",
        "paths": ["/docs/old/", "/new/"],
        "mode": "shadow",
        "allow": {"groups": ["old"]},
    },
]
ALICE: dict[str, Any] = {"sub": "alice", "groups": ["staff", "admins"], "acr": "mfa"}
BOB: dict[str, Any] = {"sub": "bob", "groups": ["staff"]}
EVE: dict[str, Any] = {"sub": "eve", "groups": ["CANARY"]}


def ruled(**changes: Any) -> Settings:
    """The application app with RULES, for members of staff, and an open one below /assets/."""
    app = {
        **APP,
        "allow": {"groups": ["staff"]},
        "rules": RULES,
        "public_paths": ["/public/"],
        "end_streams": ["websocket"],
        **changes,
    }
    return simple(applications={"app": app, "assets": {**OPEN, "path_prefix": "/assets/"}})


def application(made: Settings) -> Application:
    """The application app as a value of the core."""
    return applications(made, made.key_ring())["app"]


def certified(*rules: dict[str, Any], **gateway: Any) -> Settings:
    """The application app with these rules, whose clients Envoy asks for a certificate."""
    tls = {"certificate": "tls.crt", "key": "tls.key", "client_ca_file": "pki/clients.pem"}
    return simple(
        gateway={"url": "https://localhost:8443", "tls": tls, **gateway},
        applications={"app": {**APP, "rules": list(rules)}},
    )
