"""What `extproc check` examines: a module for each group of checks, each of which yields Findings.

Nothing here prints.

settings        the settings, and the Envoy configuration that they make
lint, lint_access, lint_applications, lint_claims, lint_limits, strictness
                settings that are allowed but seldom meant
certificates    certificates, keys and authorities: the files, and when they end
providers, provider_metadata
                each provider, over the network
running         the store and the processor, as they run
store_file      the file of a store
upstreams       the addresses of the applications
hosts           the names and ports by which users reach the applications
gateway         what answers at Envoy's listeners, and whether it agrees with the processor
envoy           a running Envoy, or a file, against the generated configuration
envoy_diff, envoy_rules, envoy_bypasses
                the comparison with the generated configuration, and what each difference means
login, login_answers, client_credentials
                a login as a browser would begin it, up to the provider's page, and the client's
                credentials
browser         the browser for that
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from extproc.checks.envoy import check_file, check_running
from extproc.checks.findings import Finding, Level, skipped
from extproc.checks.gateway import check_gateway
from extproc.checks.hosts import check_hosts
from extproc.checks.providers import check_provider
from extproc.checks.running import check_processor, check_store
from extproc.checks.settings import check_settings, registration
from extproc.checks.store_file import check_store_file
from extproc.checks.upstreams import check_upstreams
from extproc.settings import Settings
from extproc.settings.store import SQLiteSettings

__all__ = ["Finding", "Level", "Scope", "check", "registration"]


@dataclass(frozen=True, slots=True)
class Scope:
    """What to examine in addition to the settings.

    `offline` leaves out everything that needs the network. `envoy_admin` replaces gateway.admin.
    `envoy_config` is a file with Envoy's configuration, in place of a running Envoy.
    """

    offline: bool = False
    envoy_admin: str | None = None
    envoy_config: Path | None = None


def check(settings: Settings, scope: Scope) -> Iterator[Finding]:
    """All findings, each as soon as it is known, and a finding for each part that is left out."""
    yield from check_settings(settings)
    yield from check_store_file(settings)
    if scope.envoy_config is not None:
        yield from check_file(settings, scope.envoy_config)
    if scope.offline:
        yield from _left_out(settings)
        return
    for name in settings.providers:
        yield from check_provider(settings, name)
    yield from check_store(settings)
    yield from check_upstreams(settings)
    yield from check_hosts(settings)
    yield from check_processor(settings)
    yield from check_gateway(settings)
    yield from _elsewhere(settings)
    yield from _running_envoy(settings, scope)


def _running_envoy(settings: Settings, scope: Scope) -> Iterator[Finding]:
    if scope.envoy_admin is not None:
        yield from check_running(settings, scope.envoy_admin, must_answer=True)
    elif settings.gateway.admin is not None and scope.envoy_config is None:
        yield from check_running(settings, str(settings.gateway.admin), must_answer=False)
    else:
        yield skipped(
            "running Envoy",
            "whether it has the whole configuration of these settings, limits and timeouts too",
            "set gateway.admin, or name its admin address: --envoy-admin URL",
        )


def _elsewhere(settings: Settings) -> Iterator[Finding]:
    """Processors of other machines, whose admin listeners these settings do not name."""
    if settings.gateway.processors:
        yield skipped(
            "gateway.processors",
            "the processors of other machines",
            "run this command on each of them",
        )


def _left_out(settings: Settings) -> Iterator[Finding]:
    """What --offline leaves out."""
    again = "run it without --offline"
    for name in settings.providers:
        yield skipped(f"providers.{name}", "the provider", again)
    if not isinstance(settings.store, SQLiteSettings):
        yield skipped("store", "the server of the store", again)
    yield skipped("applications", "their upstreams, and the addresses of their hosts", again)
    yield skipped("admin", "the running processor", again)
    yield skipped("gateway.listen", "what answers there", again)
    yield skipped("running Envoy", "whether it has the configuration of these settings", again)
