"""`extproc check` and `extproc explain` beside a real Envoy, a processor and a fake provider."""

import contextlib
import copy
import http.client
import io
import json
import re
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.envoy import EnvoyProcess
from harness.fake_provider import FakeProvider
from harness.fake_server import Reply, Request
from harness.gateway import Stack, envoy_program
from harness.ports import free_port
from harness.processes import wait_until
from harness.providers import SECRET

from extproc.cli.main import main
from extproc.core.assertion import jwks
from extproc.envoyconfig import to_yaml
from extproc.explain.sample import NAVIGATION
from extproc.settings import load
from extproc.settings.fingerprint import fingerprints

Tree = dict[str, Any]
CONFIGURATION = "/.well-known/openid-configuration"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(FakeProvider()) as running:
        yield running


@pytest.fixture
def fake(stack: Stack) -> Iterator[FakeProvider]:
    """The provider. It is correct again afterwards."""
    yield stack.provider
    stack.provider.reset()


def command(stack: Stack, *arguments: str) -> tuple[int, str]:
    """The exit code and output of a command. Code 1 if it exits with a text, which is output too.

    No secret may be in the output.
    """
    printed = io.StringIO()
    with (
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
        pytest.raises(SystemExit) as done,
    ):
        # In this process, because imports take seconds.
        main(list(arguments))
    code = done.value.code
    output = printed.getvalue() + (code if isinstance(code, str) else "")
    assert SECRET not in output and stack.settings["secret"] not in output
    return 1 if isinstance(code, str) else int(code or 0), output


def check(stack: Stack, *arguments: str, config: Path | None = None) -> tuple[int, str]:
    return command(stack, "check", "--config", str(config or stack.config), *arguments)


def explain(stack: Stack, *arguments: str) -> tuple[int, str]:
    return command(stack, "explain", "--config", str(stack.config), *arguments)


def lines(output: str, level: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith(f"{level}: ")]


def other(stack: Stack, **changes: Any) -> Path:
    path = stack.directory / "other.yaml"
    path.write_text(yaml.safe_dump({**stack.settings, **changes}))
    return path


def test_what_runs_as_it_should_has_no_error(stack: Stack) -> None:
    code, output = check(stack)
    assert (code, lines(output, "error")) == (0, []), output
    right = "\n".join(lines(output, "ok"))
    assert (
        "the processor is ready" in right and "running Envoy: is as the settings make it" in right
    )
    assert "its keys verify RS256" in right and "Envoy 1." in right
    assert (
        f"redirect_uri              {stack.gateway}/oauth2/callback" in output
        and output.splitlines()[-1].startswith("OK")
    )


def test_as_json_it_says_the_same(stack: Stack) -> None:
    code, output = check(stack, "--json")
    document = json.loads(output)
    assert (
        code == 0
        and document["right"]
        and {each["level"] for each in document["findings"]} <= {"ok", "warning"}
    )
    assert all(each["remedy"] for each in document["findings"] if each["level"] != "ok")
    assert any("oauth2/callback" in line for line in document["register"])


def doors(tree: Tree) -> Tree:
    return tree["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0][
        "typed_config"
    ]


def opened(tree: Tree) -> None:
    """A configuration without the gate, whose filter fails open."""
    filters = doors(tree)["http_filters"]
    wrapped = next(each for each in filters if each["name"] == "decide")["typed_config"][
        "xds_matcher"
    ]
    wrapped["on_no_match"]["action"]["typed_config"]["typed_config"]["typed_config"][
        "failure_mode_allow"
    ] = True
    filters[:] = [each for each in filters if each["name"] != "gate"]
    for host in doors(tree)["route_config"]["virtual_hosts"]:
        for route in host["routes"]:
            route["typed_per_filter_config"].pop("gate", None)


def unmatched(tree: Tree) -> None:
    """ExtensionWithMatcher without a matcher: Envoy accepts it, and skips the filter."""
    wrapper = next(each for each in doors(tree)["http_filters"] if each["name"] == "decide")[
        "typed_config"
    ]
    wrapper.pop("xds_matcher")


@pytest.mark.attack("EXTP-16")
@pytest.mark.parametrize(
    ("edit", "found"),
    [
        (opened, ("failure_mode_allow is on", "there is no gate")),
        (
            unmatched,
            ("the filter has no matcher: Envoy leaves the processor out for every request",),
        ),
    ],
    ids=["open", "without_matcher"],
)
def test_a_running_envoy_with_an_open_door_is_found(
    stack: Stack, tmp_path: Path, edit, found
) -> None:
    tree, port, admin = (
        copy.deepcopy(yaml.safe_load(to_yaml(load(stack.config)))),
        free_port(),
        free_port(),
    )
    edit(tree)
    tree["static_resources"]["listeners"][0]["address"]["socket_address"]["port_value"] = port
    tree["admin"]["address"]["socket_address"]["port_value"] = admin
    with EnvoyProcess(yaml.safe_dump(tree), envoy=envoy_program(), port=port, directory=tmp_path):
        code, output = check(stack, "--envoy-admin", f"127.0.0.1:{admin}")
    errors = "\n".join(lines(output, "error"))
    assert code == 1 and all(each in errors for each in found), output
    assert all(" → " in line for line in lines(output, "error"))


def test_an_envoy_of_other_settings_is_found(stack: Stack) -> None:
    """Another application and another secret are reported, for the running Envoy and processor."""
    more = {**stack.settings["applications"], "wiki": {**stack.settings["applications"]["app"], "path_prefix": "/wiki/", "public_paths": []}}  # fmt: skip
    code, output = check(stack, config=other(stack, applications=more, secret="z" * 40))
    errors = "\n".join(lines(output, "error"))
    assert code == 1 and "route on localhost wiki: the route is missing" in errors
    assert (
        "error: secret: the running processor has another secret" in errors
        and "z" * 40 not in output
    )


def without_admin(stack: Stack) -> dict[str, Any]:
    return {name: value for name, value in stack.settings["gateway"].items() if name != "admin"}


def test_a_host_that_was_added_is_found_without_envoy_s_admin(stack: Stack) -> None:
    code, output = check(stack, config=other(stack, gateway=without_admin(stack)))
    assert code == 0 and "Envoy's routes and the processor agree about " in output, output
    app = stack.settings["applications"]["app"]
    more = {
        **stack.settings["applications"],
        "app": {**app, "hosts": [*app["hosts"], "new.localhost"]},
    }
    code, output = check(
        stack, config=other(stack, gateway=without_admin(stack), applications=more)
    )
    assert code == 1
    assert "applications: the running processor has other settings of app" in output


def test_an_envoy_of_older_settings_is_found_without_its_admin(
    stack: Stack, tmp_path: Path
) -> None:
    """Its routes bring an older fingerprint to the same processor."""
    tree = copy.deepcopy(yaml.safe_load(to_yaml(load(stack.config))))
    text, port, admin = yaml.safe_dump(tree), free_port(), free_port()
    for name, mark in fingerprints(load(stack.config)).items():
        assert mark in text, name
        text = text.replace(mark, "f" * len(mark))
    tree = yaml.safe_load(text)
    tree["static_resources"]["listeners"][0]["address"]["socket_address"]["port_value"] = port
    tree["admin"]["address"]["socket_address"]["port_value"] = admin
    moved = {**without_admin(stack), "listen": f"127.0.0.1:{port}"}
    with EnvoyProcess(yaml.safe_dump(tree), envoy=envoy_program(), port=port, directory=tmp_path):
        code, output = check(stack, config=other(stack, gateway=moved))
    assert code == 1, output
    assert "gateway.listen: Envoy and the processor were configured from different " in output


def test_a_port_of_envoy_s_that_another_program_has_is_named(
    stack: Stack, fake: FakeProvider
) -> None:
    moved = {**without_admin(stack), "listen": fake.url.removeprefix("http://")}
    _, output = check(stack, config=other(stack, gateway=moved))
    assert (
        f"warning: gateway.listen: {moved['listen']} is taken by a program that answers" in output
    )


def test_parts_that_do_not_run_are_named(stack: Stack, tmp_path: Path) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    gateway = {**stack.settings["gateway"], "admin": nobody}
    _, output = check(stack, config=other(stack, admin=f"127.0.0.1:{free_port()}", gateway=gateway))
    warned = "\n".join(lines(output, "warning"))
    assert (
        f"gateway.admin: {nobody} does not answer" in warned
        and "start it with `extproc serve`" in warned
    ), output
    assert check(stack, "--envoy-admin", nobody)[0] == 1


def test_a_processor_that_is_not_ready_or_of_another_version_is_said(
    stack: Stack, fake: FakeProvider
) -> None:
    from extproc.checks.running import check_processor

    settings = load(other(stack, admin=fake.url.removeprefix("http://")))
    missing = {"ready": False, "missing": [{"part": "store", "reason": "it is away"}]}
    fake.answers["/readyz"] = lambda asked: (503, {}, json.dumps(missing).encode())
    fake.answers["/.well-known/jwks.json"] = lambda asked: (
        200,
        {},
        jwks(settings.key_ring()).encode(),
    )
    fake.answers["/metrics"] = lambda asked: (
        200,
        {},
        b'x 1\nextproc_build_info{python="3",version="0.0.0"} 1.0\n',
    )
    found = [(each.level, each.what) for each in check_processor(settings)]
    assert found[0] == ("error", "the running processor is not ready: store: it is away")
    assert [level for level, what in found[1:] if "version 0.0.0" in what] == ["warning"] and len(
        found
    ) == 2


LIES: dict[str, tuple[dict[str, Any], str]] = {
    "issuer": (
        {"issuer": "https://evil.example"},
        "the provider's issuer is 'https://evil.example'",
    ),
    "plain_pkce": ({"code_challenge_methods_supported": ["plain"]}, "lacks S256"),
    "http_endpoint": (
        {"token_endpoint": "http://evil.example/token"},
        "neither https nor http on loopback",
    ),
    "algorithm": ({"id_token_signing_alg_values_supported": ["ES256"]}, "it signs with ES256"),
    "authentication": (
        {"token_endpoint_auth_methods_supported": ["private_key_jwt"]},
        "it accepts private_key_jwt",
    ),
    "response_type": (
        {"response_types_supported": ["token"]},
        "does not support the response type code",
    ),
    "keys": ({"jwks_uri": "http://127.0.0.1:9/jwks"}, "cannot be fetched"),
}


@pytest.mark.parametrize("name", LIES)
def test_metadata_that_cannot_work_is_said_with_its_remedy(
    stack: Stack, fake: FakeProvider, name: str
) -> None:
    from extproc.checks.providers import check_provider

    lie, expected = LIES[name]
    fake.metadata.update(lie)
    errors = [each for each in check_provider(load(stack.config), "main") if each.level == "error"]
    assert (
        errors
        and any(expected in f"{each.what} {each.remedy}" for each in errors)
        and all(each.remedy for each in errors)
    )


def test_a_provider_s_clock_its_keys_and_its_silence(stack: Stack, fake: FakeProvider) -> None:
    from extproc.checks.providers import check_provider

    def provider() -> str:
        return "\n".join(
            f"{each.level}: {each.what}" for each in check_provider(load(stack.config), "main")
        )

    def late(asked: Request) -> Reply:
        status, headers, body = fake.truthful(asked)
        return status, {**headers, "date": formatdate(1_000_000_000, usegmt=True)}, body

    # At its own address, because Envoy writes the header Date itself.
    directly = {**stack.settings["providers"]["main"], "backchannel_url": fake.url}
    config = other(stack, providers={"main": directly})
    fake.answers[CONFIGURATION] = late
    assert "timeouts.clock_skew" in "\n".join(
        each.what for each in check_provider(load(config), "main") if each.level == "error"
    )
    fake.answers.clear()
    fake.keys[:] = []
    assert "no key that can be used for RS256" in provider()
    fake.answers[CONFIGURATION] = lambda asked: (404, {}, b"")
    assert "answers 404" in provider()
    fake.answers[CONFIGURATION] = lambda asked: (200, {}, b"<html>")
    assert "error: " in provider()


def login(stack: Stack) -> tuple[int, str]:
    code, output = check(stack, "--login")
    assert "state=…" in output and "code_challenge=…" in output, output
    return code, output


FORM = (200, {"content-type": "text/html"}, b"<form><input type=password name=password></form>")


def test_a_login_is_walked_up_to_the_provider_s_page(stack: Stack, fake: FakeProvider) -> None:
    fake.answers["/auth"] = lambda asked: FORM
    code, output = login(stack)
    assert code == 0 and "the provider shows its login page" in output, output
    assert (
        f"303 GET {stack.gateway}/\n" in output
        and "303 to the provider with state, nonce, PKCE and redirect_uri" in output
    )
    fake.answers.clear()
    code, output = login(stack)
    assert (
        code == 0
        and "without asking the user; the callback is not called" in output
        and not fake.redeemed
    )


REFUSALS: dict[str, tuple[Reply, str]] = {
    "redirect_uri": ((400, {}, b"Invalid parameter: redirect_uri"), "as a redirect URI of the client gateway"),
    "client": ((400, {}, b"<p>Client not found.</p>"), "that a client gateway is registered there"),
    "another": ((403, {}, b"no"), "open it in a browser to read why"),
    "broken": ((500, {}, b""), "see the provider's log"),
    "error": ((303, {"location": "{redirect_uri}?error=invalid_scope&state=x"}, b""), "extproc reasons provider_invalid_scope"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_what_the_provider_refuses_is_said_with_what_to_register(
    stack: Stack, fake: FakeProvider, name: str
) -> None:
    (status, headers, body), remedy = REFUSALS[name]

    def refuse(asked: Request) -> Reply:
        return status, {key: value.format(**asked.query) for key, value in headers.items()}, body

    fake.answers["/auth"] = refuse
    code, output = login(stack)
    assert code == 1 and remedy in "\n".join(lines(output, "error")), output
    if name == "redirect_uri":
        assert f"register {stack.gateway}/oauth2/callback" in output


def test_a_login_of_no_application_is_a_clear_error(stack: Stack) -> None:
    code, output = check(stack, "--login", "gone")
    assert (code, output) == (1, "extproc: no application 'gone' with a login; there are: app")


REQUESTS: dict[str, tuple[str, str, dict[str, str]]] = {
    "page": ("GET", "/private?a=CANARY", {}),
    "script": ("GET", "/api", {"sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}),
    "post": ("POST", "/private", {"accept": "*/*"}),
    "public": ("GET", "/public/x", {}),
    "nearly_public": ("GET", "/publicx", {}),
    "dots": ("GET", "/private/../public/%41", {}),
    "slashes": ("GET", "//public//x", {}),
    "escaped": ("GET", "/public/..%2Fprivate", {}),
    "semicolon": ("GET", "/public/a;/x", {}),
    "disguised": ("GET", "/public/%2e%2e;/x", {}),
    "nul": ("GET", "/public/a%00", {}),
    "callback": ("GET", "/oauth2/callback?code=CANARY&state=CANARY", {}),
    "signed_out": ("GET", "/oauth2/signed-out", {}),
    "nothing": ("GET", "/oauth2/nothing", {}),
    "userinfo": ("GET", "/oauth2/userinfo", {"accept": "application/json"}),
    "other_host": ("GET", "/x", {"host": "evil.example"}),
    "provider": ("GET", "/jwks", {"host": "127.0.0.1"}),
    "underscore": ("GET", "/public/x", {"x_auth_sub": "CANARY"}),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_what_explain_says_of_a_request_is_what_envoy_and_the_processor_do(
    stack: Stack, name: str
) -> None:
    method, path, headers = REQUESTS[name]
    host = headers.get("host", "localhost")
    sent = {name: value for name, value in headers.items() if name != "host"}
    header = [word for name, value in sent.items() for word in ("--header", f"{name}: {value}")]
    code, output = explain(stack, f"http://{host}:{stack.port}{path}", "--method", method, *header)
    if not sent.keys() & {"accept", "sec-fetch-mode"}:
        sent |= dict(NAVIGATION)
    answer = asked(
        stack.port, method, path, {"host": f"{host}:{stack.port}", "user-agent": name, **sent}
    )
    verdict = next(line for line in output.splitlines() if line.startswith("→"))
    assert code == 0 and "CANARY" not in output
    if answer == 200 and "signed_out" not in name:
        assert "→ forwarded to" in verdict, output
    else:
        assert re.search(rf"\b{answer}\b", verdict), output


def asked(port: int, method: str, path: str, headers: dict[str, str]) -> int:
    """Send the path as it is; an HTTP library would normalise it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.putheader("content-length", "0")
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_session_is_looked_up_and_left_as_it_is(stack: Stack) -> None:
    with stack.user() as user:
        assert user.go(stack.url("/private")).status_code == 200
        cookies = {cookie.name: cookie.value for cookie in user.cookies}
    session = f"extproc-session-app={cookies['extproc-session-app']}"
    (kept := stack.directory / "cookie").write_text(f"Cookie: {session}\n")
    code, output = explain(stack, "/private", "--cookie", f"@{kept}")
    assert (
        code == 0
        and "a session that began" in output
        and "→ forwarded to" in output
        and "with x-auth-sub" in output
    ), output
    assertion = f"extproc-assertion-app={cookies['extproc-assertion-app']}"
    _, fast = explain(stack, "/private", "--cookie", session, "--cookie", assertion)
    assert "by Envoy alone: its assertion is good for" in fast
    _, forged = explain(
        stack, "/private", "--cookie", session[:-4] + "AAAA", "--cookie", assertion[:-4] + "AAAA"
    )
    assert "303 to the login page of main" in forged
    assert not any(value in output + fast + forged for value in cookies.values())


def test_a_pasted_trace_id_tells_the_whole_login(stack: Stack) -> None:
    with stack.user() as user:
        started = user.navigate(stack.url("/private?a=CANARY"))
        callback = user.navigate(started.headers["location"]).headers["location"]
        trace_id = user.navigate(callback).headers["x-trace-id"]
    pasted = "-".join(trace_id[at : at + 4] for at in range(0, 32, 4)).upper()
    told: list[str] = []

    def whole() -> bool:
        told[:] = [explain(stack, *pasted.split("-"))[1]]
        return "2. callback" in told[0] and "envoy" in told[0] and "POST /token" in told[0]

    wait_until(whole, 30)
    (output,) = told
    assert (
        "1. redirect to the provider" in output
        and f"trace {trace_id}" in output
        and "(asked for)" in output
    )
    assert (
        "signed_in: You are signed in." in output
        and "A login is complete, and its session is stored." in output
        and "━" in output
    )
    assert "CANARY" not in output and "code=" not in output


def test_a_trace_that_is_nowhere_or_no_trace_is_a_clear_error(stack: Stack) -> None:
    code, output = explain(stack, "0" * 31 + "1")
    assert code == 1 and "there is no such trace: it was not sampled" in output
    code, output = explain(stack, "what-is-this")
    assert code == 1 and "neither a trace id (32 hexadecimal digits) nor a URL or path" in output
    code, output = explain(stack, "--admin", f"127.0.0.1:{free_port()}", "a" * 32)
    assert code == 1 and "does not answer (ConnectError)" in output


def test_jaeger_is_asked_in_place_of_the_admin(stack: Stack, fake: FakeProvider) -> None:
    asked_for, linked = "a" * 32, "b" * 32

    def span(trace: str, name: str, service: str, **more: Any) -> Tree:
        tags = [
            {"key": "span.kind", "type": "string", "value": "server"},
            {"key": "extproc.reason", "value": more.pop("reason", "")},
        ]
        return {"traceID": trace, "spanID": name.rjust(16, "0"), "operationName": name, "processID": service, "startTime": 1_700_000_000_000_000, "duration": 1500, "tags": tags, **more}  # fmt: skip

    def answer(*spans: Tree) -> Reply:
        processes = {each["processID"]: {"serviceName": each["processID"]} for each in spans}
        return (
            200,
            {"content-type": "application/json"},
            json.dumps({"data": [{"spans": spans, "processes": processes}]}).encode(),
        )

    back = {"refType": "FOLLOWS_FROM", "traceID": linked, "spanID": "1".rjust(16, "0")}
    first = answer(
        span(asked_for, "call\x1b[31mback", "extproc", reason="state_mismatch", references=[back])
    )
    fake.answers[f"/api/traces/{asked_for}"] = lambda _: first
    fake.answers[f"/api/traces/{linked}"] = lambda _: answer(
        span(linked, "start", "extproc", reason="login_started")
    )
    code, output = explain(stack, asked_for, "--jaeger", fake.url)
    assert (
        code == 0 and "2 requests" in output and "by a span link" in output and "1.5 ms" in output
    ), output
    assert (
        "state_mismatch: This sign-in was not started in this browser" in output
        and "\x1b" not in output
    )
    fake.answers[f"/api/traces/{asked_for}"] = lambda _: (200, {}, b"{}")
    assert explain(stack, asked_for, "--jaeger", fake.url)[0] == 1
