"""`extproc explain`: how a request would be handled, and where a trace cannot be found."""

import json
import subprocess
import sys
from dataclasses import asdict

import pytest
import yaml
from harness import spans
from harness.ports import free_port


def explain(run, config, *arguments):
    return run("explain", "--config", str(config), *arguments)


def test_a_request_is_explained_step_by_step_with_a_verdict_at_the_end(run, config):
    code, printed = explain(run, config, "/api", "--header", "Sec-Fetch-Mode: cors")
    lines = printed.splitlines()
    assert code == 0 and lines[0].startswith("· ")
    assert [line for line in lines if line.startswith("→ ")] == [
        "→ 401 login_required: This needs a signed-in user."
    ]


def test_a_cookie_can_be_read_from_a_file(run, config, tmp_path):
    cookie = tmp_path / "cookie"
    cookie.write_text("Cookie: extproc-session-app=CANARY\n")
    code, printed = explain(run, config, "/", "--cookie", f"@{cookie}")
    assert code == 0 and "extproc-session-app" in printed and "CANARY" not in printed


def test_a_file_that_cannot_be_read_is_named(run, config, tmp_path):
    gone = tmp_path / "gone"
    assert explain(run, config, "/", "--cookie", f"@{gone}") == (
        1,
        f"extproc: {gone}: No such file or directory",
    )


@pytest.fixture
def callers(config):
    """Settings with a rule that accepts access tokens."""
    settings = yaml.safe_load(config.read_text())
    settings["applications"]["app"]["rules"] = [
        {"name": "api", "paths": ["/api/"], "accept": ["bearer"]}
    ]
    config.write_text(yaml.safe_dump(settings))
    return config


@pytest.mark.parametrize("text", ["CANARY\n", "Bearer CANARY", "Authorization: Bearer CANARY\n"])
def test_an_access_token_is_read_from_a_file(run, callers, tmp_path, text):
    token = tmp_path / "token"
    token.write_text(text)
    code, printed = explain(run, callers, "/api/x", "--bearer", str(token))
    assert code == 0 and "CANARY" not in printed
    assert "401 bearer_token_opaque" in " ".join(printed.split())
    code, printed = explain(run, callers, "/api/x")
    assert code == 0 and "401 bearer_token_required" in " ".join(printed.split())


def test_an_access_token_is_read_from_standard_input(callers):
    command = [sys.executable, "-m", "extproc", "explain", "/api/x", "--bearer", "-"]
    done = subprocess.run(
        [*command, "--config", callers], input="CANARY", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "CANARY" not in done.stdout + done.stderr
    assert "bearer_token_opaque" in done.stdout


@pytest.mark.parametrize("text", ["", "\n", "a b", "a\nb", "Bearer ", "Bearer \u00e9", "a\x00b"])
def test_a_file_without_an_access_token_is_named(run, callers, tmp_path, text):
    token = tmp_path / "token"
    token.write_text(text)
    assert explain(run, callers, "/api/x", "--bearer", str(token)) == (
        1,
        f"extproc: {token}: has no access token, on one line and without blanks",
    )
    gone = tmp_path / "gone"
    code, printed = explain(run, callers, "/api/x", "--bearer", str(gone))
    assert code == 1 and printed.startswith("extproc: --bearer: No such file or directory; it ")


@pytest.mark.parametrize("header", ["Authorization: Bearer CANARY", "authorization:bearer CANARY"])
def test_an_access_token_on_the_command_line_is_refused(run, callers, header):
    code, printed = explain(run, callers, "/api/x", "--header", header)
    assert code == 1 and "CANARY" not in printed and "--bearer FILE" in printed


@pytest.mark.parametrize("token", ["eyJCANARY.e30.x", "CANARY" * 1000])
def test_an_access_token_in_the_place_of_its_file_is_not_printed(run, callers, token):
    code, printed = explain(run, callers, "/api/x", "--bearer", token)
    assert code == 1 and "CANARY" not in printed and "the name of a file" in printed


def test_text_that_is_neither_a_trace_id_nor_an_address_is_refused(run, config):
    assert explain(run, config, "what-is-this") == (
        1,
        "extproc: 'what-is-this' is neither a trace id (32 hexadecimal digits) nor a URL or path",
    )


def test_an_admin_that_does_not_answer_is_named(run, config):
    code, printed = explain(run, config, "--admin", f"127.0.0.1:{free_port()}", "a" * 32)
    assert code == 1 and f"extproc: trace {'a' * 32}: " in printed and "does not answer" in printed


def test_a_login_is_printed_request_by_request_and_no_name_in_it_can_control_a_terminal(
    run, config, liar
):
    trace_id, linked = "a" * 32, "b" * 32
    back = {"refType": "FOLLOWS_FROM", "traceID": linked, "spanID": "1".rjust(16, "0")}
    callback = jaeger_span(trace_id, "call\x1b[31mback", "state_mismatch", references=[back])
    callback["tags"].append({"key": "extproc.detail", "value": "no cookie\x1b[2J of it"})
    liar.answers[f"/api/traces/{trace_id}"] = lambda _: jaeger(callback)
    liar.answers[f"/api/traces/{linked}"] = lambda _: jaeger(
        jaeger_span(linked, "start", "login_started")
    )
    code, printed = explain(run, config, trace_id, "--jaeger", liar.url)
    assert code == 0 and printed.startswith("2 requests, from ")
    assert f"1. callback (asked for): trace {trace_id}\n" in printed
    assert "by a span link" in printed and f"trace {linked}\n" in printed
    assert "   state_mismatch: This sign-in was not started in this browser" in printed
    assert "   detail: no cookie" in printed and "\x1b" not in printed
    assert "signed_in does not follow" not in printed
    code, printed = explain(run, config, linked, "--jaeger", liar.url)
    assert code == 0 and "signed_in does not follow" in " ".join(printed.split())


def test_a_step_that_was_never_sampled_is_not_called_lost(run, config, liar):
    trace_id, linked = "a" * 32, "b" * 32
    back = {"refType": "FOLLOWS_FROM", "traceID": linked, "spanID": "1".rjust(16, "0")}
    callback = jaeger_span(trace_id, "callback", "state_mismatch", references=[back])
    liar.answers[f"/api/traces/{trace_id}"] = lambda _: jaeger(callback)
    code, printed = explain(run, config, trace_id, "--jaeger", liar.url)
    assert code == 0 and f"trace {linked}\n   not known: it was not sampled" in printed


def test_no_client_can_forge_a_line_of_the_access_log_s_explanation(run, config, tmp_path):
    """The client chose path and authority."""
    log = tmp_path / "access.log"
    settings = yaml.safe_load(config.read_text())
    settings["gateway"]["access_log"] = str(log)
    config.write_text(yaml.safe_dump(settings))
    forged = "\n1. callback (asked for): trace"
    request_id = "12345678-1234-1234-1234-123456789abc"
    entry = {"request_id": request_id, "method": "GET", "authority": f"x{forged}"}
    log.write_text(json.dumps({**entry, "path": f"/{forged}", "details": forged}) + "\n")
    code, printed = explain(run, config, "--admin", f"127.0.0.1:{free_port()}", request_id)
    assert code == 0 and len(printed.splitlines()) == 2, printed


def test_no_span_can_forge_a_line(run, config, liar):
    trace_id, forged = "a" * 32, "x\n   signed_in: You are signed in."
    callback = jaeger_span(trace_id, forged, forged)
    for key in ("extproc.detail", "http.request.method", "url.path", "http.response.status_code"):
        callback["tags"].append({"key": key, "value": forged})
    liar.answers[f"/api/traces/{trace_id}"] = lambda _: jaeger(callback)
    code, printed = explain(run, config, trace_id, "--jaeger", liar.url)
    lines = [line.strip() for line in printed.splitlines()]
    assert code == 0 and not [line for line in lines if line.startswith("signed_in")], printed


def test_the_request_that_was_asked_for_by_its_request_id_is_marked(run, config, liar):
    """The admin listener answers a request id with the trace of that request."""
    request_id, trace_id, linked = "c" * 32, "a" * 32, "b" * 32

    def answer(trace, **more):
        span = spans.span(1, 0, "extproc", "callback", 0, 5, kind="server", trace_id=trace, **more)
        raw = {**asdict(span), "attributes": dict(span.attributes)}
        raw["links"] = [{"trace_id": linked, "span_id": "1" * 16}] if trace == trace_id else []
        body = {"trace_id": trace, "spans": [raw], "story": [{"trace_id": linked}]}
        return lambda _: (200, {"content-type": "application/json"}, json.dumps(body).encode())

    liar.answers[f"/traces/{request_id}.json"] = answer(trace_id)
    liar.answers[f"/traces/{linked}.json"] = answer(linked)
    code, printed = explain(run, config, "--admin", liar.url, request_id)
    assert code == 0 and printed.count("(asked for)") == 1
    assert f"(asked for): trace {trace_id}\n" in printed


def jaeger_span(trace_id, name, reason, **more):
    tags = [
        {"key": "span.kind", "type": "string", "value": "server"},
        {"key": "extproc.reason", "value": reason},
    ]
    return {
        "traceID": trace_id,
        "spanID": name.rjust(16, "0"),
        "operationName": name,
        "processID": "extproc",
        "startTime": 1_700_000_000_000_000,
        "duration": 1500,
        "tags": tags,
        **more,
    }


def jaeger(*spans):
    processes = {"extproc": {"serviceName": "extproc"}}
    document = {"data": [{"spans": spans, "processes": processes}]}
    return 200, {"content-type": "application/json"}, json.dumps(document).encode()
