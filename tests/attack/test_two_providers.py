"""Two providers, of which one lies or meets bugs of the processor: users of the other keep working.

With one worker and with two.
"""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from harness.bad_urls import BAD_URLS
from harness.echo import Echo
from harness.fake_provider import FakeProvider
from harness.fault_injection import Faults
from harness.gateway import Stack
from harness.processes import wait_until

ENDPOINTS = (
    "token_endpoint",
    "jwks_uri",
    "userinfo_endpoint",
    "revocation_endpoint",
    "introspection_endpoint",
    "authorization_endpoint",
    "end_session_endpoint",
)
OF_PARTNER = "self._name == 'partner'"
# Background work of a process that decides requests, and its name in the log.
BACKGROUND = {
    "extproc.provider.http:HttpClient.close_idle": ("provider partner", OF_PARTNER),
    "extproc.ext_proc.live_streams:LiveStreams.round": ("live streams", ""),
    "extproc.sessions.stored:StoredSessions.count": ("session count", ""),
    "extproc.sessions.stored:StoredSessions.touch": ("touch", ""),
    "extproc.metrics:Metrics.lagged": ("trio lag", "args[1] == 'trio'"),
    "extproc.metrics.otlp:metrics_data": ("metrics export", ""),
    "extproc.settings.watch:Source.changed": ("settings", ""),
}
# Data of workers that a supervisor reads.
OF_WORKERS = {
    "extproc.traces.store:TraceStore.add_otlp": ("worker spans", ""),
    "extproc.metrics.exposition:from_text": ("worker metrics", ""),
}
CALLS = {
    "extproc.provider.client:Provider._fetch_metadata": "self.name == 'partner'",
    "extproc.provider.client:Provider._fetch_keys": "self.name == 'partner'",
    "extproc.provider.http:HttpClient._request": OF_PARTNER,
    "extproc.core.oidc.token:RefreshResponse.parse": "b'at-bob' in args[1]",
}
# tests/unit/test_background.py has every kind of error at the boundary itself.
ERRORS = (
    "KeyError('x')",
    "httpx.InvalidURL('x')",
    "ExceptionGroup('x', [RuntimeError('x'), UnicodeError('x')])",
    "MemoryError('x')",
)
SHORT = {
    "extproc.provider.client:METADATA_FRESH": 0.2,
    "extproc.provider.client:KEYS_FRESH": 0.2,
    "extproc.provider.upkeep:LOOK_EVERY": 0.1,
    "extproc.provider.upkeep:LOOK_AGAIN": 0.1,
    "extproc.provider.cache:RETRY_FIRST": 0.02,
    "extproc.provider.cache:RETRY_MOST": 0.05,
    "extproc.provider.cache:RETRY_UNUSABLE": 0.05,
    "extproc.background:FIRST_PAUSE": 0.05,
    "extproc.background:LONGEST_PAUSE": 0.2,
    "extproc.ext_proc.live_streams:EVERY": 0.2,
    "extproc.runtime.service:COUNT_EVERY": 0.2,
    "extproc.core.session:TOUCH_AFTER": 0,
}


class Two:
    """A gateway with an application `app` at a correct provider, and `two` at one that lies."""

    def __init__(self, stack: Stack, partner: FakeProvider, faults: Faults) -> None:
        self.stack, self.partner, self.faults = stack, partner, faults

    def honest_users_go_on(self) -> None:
        """A user of the correct provider can sign in, and a signed-in one is known.

        The processor decides both, and not Envoy alone.
        """
        with self.stack.user() as user:
            assert user.go(self.stack.url("/private")).status_code == 200
            user.cookies.drop("extproc-assertion-app")
            assert user.go(self.stack.url("/private")).status_code == 200
        assert self.stack.app.requests[-1].get("x-auth-sub") == "alice"

    def partner_is_refused_or_in(self) -> None:
        with self.stack.user() as user:
            answer = user.go(self.stack.url("/two/x"))
            assert answer.status_code in (200, 502, 503), answer.text
            if answer.status_code != 200:
                assert "internal_error" not in answer.text

    def lines(self, **wanted: Any) -> list[dict[str, Any]]:
        text = self.stack.extproc.output()
        every = [
            json.loads(line)
            for line in text.splitlines(keepends=True)
            if line.startswith("{") and line.endswith("\n")
        ]
        return [
            line for line in every if all(line.get(key) == value for key, value in wanted.items())
        ]

    @property
    def processes(self) -> list[int]:
        return [self.stack.extproc.pid, *self.stack.extproc.children]


@pytest.fixture(
    scope="module",
    params=[1, pytest.param(2, marks=pytest.mark.heavy)],
    ids=["one worker", "two workers"],
)
def two(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    targets = {target: when for target, (_, when) in (BACKGROUND | OF_WORKERS).items()} | CALLS
    faults = Faults(tmp_path_factory.mktemp("faults"), targets, SHORT)
    partner = FakeProvider(behind=False, user="bob")
    partner.start()
    collector = Echo().start()
    nowhere = {
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{collector.url}/v1/metrics",
        "OTEL_METRIC_EXPORT_INTERVAL": "200",
    }

    def settings(stack: Stack) -> dict[str, Any]:
        second = {
            "hosts": ["localhost"],
            "path_prefix": "/two/",
            "upstream": stack.app.url,
            "provider": "partner",
        }
        lies = {"issuer": partner.url, "client_id": "gateway", "client_secret": "x"}
        return {
            "workers": request.param,
            "applications": {"two": second},
            "providers": {"partner": lies},
            "timeouts": {"call": 5},
        }

    # It starts with the first of the bad addresses.
    partner.metadata["jwks_uri"] = BAD_URLS[0]
    with Stack(
        FakeProvider(behind=False), settings=settings, env={**faults.env, **nowhere}
    ) as stack:
        yield Two(stack, partner, faults)
    partner.close()
    collector.close()


@pytest.fixture(autouse=True)
def _the_same_processes(two: Two) -> Iterator[None]:
    """No process ended, and no request met a bug."""
    before, written = two.processes, len(two.stack.extproc.output())
    yield
    two.partner.metadata.clear()
    assert two.processes == before and two.stack.extproc.exit_code is None
    assert '"internal_error"' not in two.stack.extproc.output()[written:]


@pytest.mark.attack("REL-41")
def test_at_the_start_a_provider_names_an_address_that_cannot_be_called_and_no_other_s_user_notices(
    two: Two,
) -> None:
    wait_until(lambda: two.lines(event="provider_not_ready", provider="partner"), 30)
    two.honest_users_go_on()
    with two.stack.user() as user:
        assert user.navigate(two.stack.url("/two/x")).status_code == 503
    two.partner.metadata.clear()
    # The partner is correct again.
    with two.stack.user() as user:
        wait_until(lambda: user.go(two.stack.url("/two/x")).status_code == 200, 60, every=0.2)


@pytest.mark.attack("REL-41")
@pytest.mark.threat("foreign-input")
def test_while_it_runs_a_provider_names_addresses_that_cannot_be_called_and_no_other_s_user_notices(
    two: Two,
) -> None:
    discovery = "/.well-known/openid-configuration"
    # test_lying_provider.py has each of them at each endpoint.
    for number, url in enumerate(BAD_URLS):
        two.partner.metadata.clear()
        two.partner.metadata[ENDPOINTS[number % len(ENDPOINTS)]] = url
        asked = len(two.partner.requests_to(discovery))
        wait_until(
            lambda asked=asked: len(two.partner.requests_to(discovery)) > asked + 2,
            60,
            "its metadata to be read",
        )
        if number % 8 == 0:
            two.honest_users_go_on()
    two.honest_users_go_on()
    two.partner_is_refused_or_in()


@pytest.mark.attack("REL-42")
@pytest.mark.threat("foreign-input")
@pytest.mark.parametrize("target", [*BACKGROUND, *OF_WORKERS])
def test_whatever_error_is_met_in_the_background_users_go_on_and_the_work_begins_again(
    two: Two, target: str
) -> None:
    place, _ = (BACKGROUND | OF_WORKERS)[target]
    if target in OF_WORKERS and len(two.processes) == 1:
        # There is no supervisor.
        return
    for number, error in enumerate(ERRORS):
        name = error.partition("(")[0].rpartition(".")[2]
        with two.faults.thrown(target, error):

            def reported(target: str = target, name: str = name) -> bool:
                if target in OF_WORKERS or "touch" in target:
                    two.honest_users_go_on()
                    httpx.get(f"{two.stack.admin}/metrics", trust_env=False)
                # Not only `met`, because Envoy's own spans pass the same function as those of
                # workers.
                return bool(two.lines(event="background_failed", place=place, detail=name))

            wait_until(reported, 60, f"{error} in {target}", every=0.05)
            if number == 0:
                two.honest_users_go_on()

    def passed() -> bool:
        if target in OF_WORKERS or "touch" in target:
            two.honest_users_go_on()
            httpx.get(f"{two.stack.admin}/metrics", trust_env=False)
        return two.faults.passed(target) > 0

    wait_until(passed, 60, f"{target} to go on", every=0.05)
    two.honest_users_go_on()
    page = httpx.get(f"{two.stack.admin}/metrics", trust_env=False).text
    counted = [
        line
        for line in page.splitlines()
        if line.startswith(f'extproc_background_failures_total{{place="{place}"')
    ]
    assert sum(float(line.split()[-1]) for line in counted) >= len(ERRORS)


@pytest.mark.attack("REL-42")
@pytest.mark.threat("foreign-input")
@pytest.mark.parametrize("target", CALLS)
def test_whatever_a_call_to_a_provider_raises_is_that_provider_s_refusal_alone(
    two: Two, target: str
) -> None:
    two.partner.metadata.clear()
    for number, error in enumerate(ERRORS):
        with two.faults.thrown(target, error):

            def met(target: str = target) -> bool:
                two.partner_is_refused_or_in()
                return two.faults.met(target) > 0

            wait_until(met, 60, f"{error} in {target}", every=0.05)
            if number == 0:
                two.honest_users_go_on()
    with two.stack.user() as user:
        wait_until(lambda: user.go(two.stack.url("/two/x")).status_code == 200, 60, every=0.2)
    assert two.lines(event="provider_call_failed", provider="partner")
    two.honest_users_go_on()
