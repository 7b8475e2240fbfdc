"""One login is one trace, at an OTLP receiver and on the trace page, with a real application.

No span has a secret.
"""

import http.client
import json
import re
import threading
import uuid

import httpx
import pytest
from harness.fake_provider import FakeProvider
from harness.processes import wait_until
from harness.traced import Receiver, trace, traced

SERVICES = {"envoy", "extproc", "app"}


@pytest.fixture(scope="module")
def stack():
    with traced(FakeProvider()) as running:
        yield running


def page_of(user, stack, path="/private?a=1"):
    """Sign in. Returns the trace ids of the redirect, the callback and the page."""
    started = user.navigate(stack.url(path))
    back = user.navigate(started.headers["location"]).headers["location"]
    signed_in = user.navigate(back)
    page = user.navigate(signed_in.headers["location"])
    assert page.status_code == 200
    shown = re.search(r"/traces/([0-9a-f]{32})", page.text)
    return started.headers["x-trace-id"], signed_in.headers["x-trace-id"], shown[1]


def services(spans):
    return {span["service"] for span in spans}


def below(span, spans):
    return [child for child in spans if child.parent_id == span.span_id]


def one(spans, name, service=None):
    (found,) = [span for span in spans if span.name == name and service in (None, span.service)]
    return found


def test_a_login_is_three_linked_steps_from_whichever_one_looks(stack):
    with stack.user() as user:
        redirect, callback, page = page_of(user, stack)
        for asked in (redirect, callback, page):
            whole = lambda found: (  # noqa: E731
                len(found["story"]) == 3 and all(step["here"] for step in found["story"])
            )
            story = trace(stack, asked, whole)["story"]
            assert [(step["role"], step["trace_id"]) for step in story] == [
                ("redirect", redirect),
                ("callback", callback),
                ("page", page),
            ]
            assert [step["reason"] for step in story] == ["login_started", "signed_in", ""]
            assert all(step["duration_ns"] > 0 for step in story)
        joined = {
            step["role"]: step["joined"]
            for step in trace(stack, callback, lambda found: found["story"])["story"]
        }
        assert joined == {"redirect": "link", "callback": "", "page": "client"}
        text = httpx.get(
            f"{stack.admin}/traces/{page}", headers={"accept": "text/html"}, trust_env=False
        ).text
        assert f"/traces/{redirect}'" in text and f"/traces/{callback}'" in text


def test_the_application_s_span_hangs_below_envoy_s_on_the_fast_path_and_through_the_processor(
    stack,
):
    with stack.user() as user:
        *_, page = page_of(user, stack)
        streams = stack.streams()
        fast = trace(stack, page, lambda found: services(found["spans"]) == {"envoy", "app"})
        assert stack.streams() == streams
        # Now the processor decides, and lets the request continue.
        user.cookies.drop("extproc-assertion-app")
        answer = user.navigate(stack.url("/other"))
        processed = re.search(r"/traces/([0-9a-f]{32})", answer.text)[1]
        slow = trace(stack, processed, lambda found: services(found["spans"]) == SERVICES)
        for found in (fast, slow):
            by_id = {span["span_id"]: span for span in found["spans"]}
            (app,) = [span for span in found["spans"] if span["service"] == "app"]
            assert (
                by_id[app["parent_id"]]["service"] == "envoy"
                and by_id[app["parent_id"]]["kind"] == "server"
            )


def test_a_whole_login_at_an_otlp_receiver(tmp_path):
    with Receiver(tmp_path) as receiver:
        to = {"tracing": {"endpoint": receiver.url, "sample": 1}}
        with traced(FakeProvider(), to, f"{receiver.url}/v1/traces") as stack, stack.user() as user:
            redirect, callback, page = page_of(user, stack)
            wanted = {
                "POST /token",
                "GET /me",
                "verify",
                "store put",
                "store use_once",
                "decide",
                "app:own",
                "idp",
            }
            spans = receiver.spans(callback, lambda s: wanted <= {span.name for span in s})
            ingress = one(spans, "app:own")
            # Envoy's span of its call to the processor.
            (call,) = below(ingress, spans)
            (stream,) = below(call, spans)
            assert (ingress.service, call.service, stream.service) == ("envoy", "envoy", "extproc")
            steps = {span.name: span for span in below(stream, spans)}
            assert {
                "decide",
                "store use_once",
                "POST /token",
                "GET /me",
                "verify",
                "store put",
            } <= set(steps)
            order = ["decide", "store use_once", "POST /token", "GET /me", "verify", "store put"]
            assert [
                name for name in sorted(steps, key=lambda n: steps[n].start_ns) if name in order
            ] == order
            # The requests to the provider went through the same Envoy, below the processor's call.
            assert [span.service for span in below(steps["POST /token"], spans)] == ["envoy"]
            assert [link.trace_id for link in stream.links] == [redirect]
            assert [event.name for event in stream.events] == ["override sent", "held", "answered"]
            assert (
                stream.attribute("http.request.method") == "GET"
                and stream.attribute("url.path") == "/oauth2/callback"
            )
            assert stream.attribute("server.address") == f"localhost:{stack.port}"

            shown = receiver.spans(page, lambda s: {span.service for span in s} == {"envoy", "app"})
            (app,) = [span for span in shown if span.service == "app"]
            assert app.parent_id == one(shown, "app", "envoy").span_id
            first = receiver.spans(
                redirect, lambda s: {span.service for span in s} == {"envoy", "extproc"}
            )
            assert [span.attribute("extproc.reason") for span in first if span.name == "app"] == [
                "login_started"
            ]
            # A receiver of another project has the same tree.
            ids = {(span.span_id, span.parent_id, span.name) for span in spans}
            wait_until(lambda: ids <= receiver.tapped(callback), 60, "oteltap's lines")


def test_userinfo_and_the_key_set_overlap_in_the_trace(stack):
    with stack.user() as user:
        stack.stop_extproc()
        with stack.provider.holding("/jwks", "/me"):
            stack.start_extproc()
            started = user.navigate(stack.url("/private"))
            back = user.navigate(started.headers["location"]).headers["location"]
            answers = []
            login = threading.Thread(target=lambda: answers.append(user.navigate(back)))
            login.start()
            wait_until(lambda: stack.provider.held >= 2, 60, "both calls")
        login.join(60)
        names = lambda found: {span["name"] for span in found["spans"]}  # noqa: E731
        found = trace(
            stack,
            answers[0].headers["x-trace-id"],
            lambda f: {"GET /me", "keys", "verify"} <= names(f),
        )
        me, keys, verify = (
            next(span for span in found["spans"] if span["name"] == name)
            for name in ("GET /me", "keys", "verify")
        )
        assert me["start_ns"] < keys["end_ns"] and keys["start_ns"] < me["end_ns"]
        assert max(me["end_ns"], keys["end_ns"]) <= verify["start_ns"]


def test_a_browser_that_leaves_is_a_span_that_was_cancelled(stack):
    with stack.user() as user, stack.provider.holding("/me"):
        started = user.navigate(stack.url("/private"))
        back = user.navigate(started.headers["location"]).headers["location"]
        before, trace_id = stack.provider.held, uuid.uuid4().hex
        leaving = http.client.HTTPConnection("127.0.0.1", stack.port)
        headers = {
            "host": f"localhost:{stack.port}",
            "cookie": user.cookies.header(stack.url("/")),
            "traceparent": f"00-{trace_id}-00f067aa0ba902b7-01",
        }
        leaving.request("GET", back.removeprefix(stack.url("")), headers=headers)
        wait_until(lambda: stack.provider.held == before + 1, 60, "UserInfo asked for")
        leaving.close()
        stream = lambda f: [span for span in f["spans"] if span["name"].endswith("/Process")]  # noqa: E731
        (span,) = stream(trace(stack, trace_id, stream))
        assert [event["name"] for event in span["events"]] == ["override sent", "held", "cancelled"]
        # A client that disconnects is not an error.
        assert span["status"] == "unset"


def answer(status, body):
    return lambda _: (status, {"content-type": "application/json"}, body)


def provider_errors(provider):
    """What can go wrong at a provider during a login, as pairs: cause it, undo it."""
    body = b'{"error": "invalid_grant", "error_description": "CANARY-description", "access_token": "CANARY-token"}'
    for path, reply in (
        ("/token", answer(500, body)),
        ("/token", answer(400, body)),
        ("/token", lambda _: b"HTTP/1.1 CANARY-line\r\n\r\n"),
        ("/token", answer(200, b'["CANARY-json"]')),
        ("/me", answer(500, body)),
        ("/me", answer(200, b'{"sub": "CANARY-mallory"}')),
    ):
        provider.answers[path] = reply
        yield
        del provider.answers[path]
    for claims in ({"nonce": "CANARY-nonce"}, {"aud": "CANARY-audience"}, {"exp": 1}):
        provider.claims.update(claims)
        yield
        provider.claims.clear()
    for callback in (
        {"error": "access_denied", "error_description": "CANARY-denied", "code": None},
        {"iss": "https://CANARY.iss"},
    ):
        provider.callback.update(callback)
        yield
        provider.callback.clear()


def secrets_of(user, provider):
    """The secrets of a login, as far as they were seen on the wire."""
    for asked in provider.requests:
        yield from (
            asked.form.get(name, "")
            for name in ("code", "code_verifier", "client_secret", "refresh_token", "token")
        )
        yield from (
            asked.query.get(name, "")
            for name in ("state", "nonce", "code_challenge", "id_token_hint")
        )
        yield asked.headers.get("authorization", "").rpartition(" ")[2]
    yield from (cookie.value for cookie in user.cookies)


@pytest.mark.attack("WEB-05")
def test_no_span_no_log_line_and_no_page_has_a_secret_whatever_goes_wrong():
    with traced(FakeProvider(), {"log": {"level": "DEBUG"}}) as stack, stack.user() as user:
        secrets, texts, start = (
            set(),
            [],
            stack.url("/private?q=CANARY-query&access_token=CANARY-access"),
        )

        def login():
            started = user.navigate(start)
            back = user.navigate(started.headers["location"]).headers["location"]
            secrets.update(secrets_of(user, stack.provider))
            # The second time the code is used up.
            answers = [user.navigate(back), user.navigate(back)]
            secrets.update(secrets_of(user, stack.provider))
            # The retry link has the user's own address.
            texts.extend(re.sub(r"CANARY-(query|access)", "", each.text) for each in answers)
            user.cookies.drop("extproc-session-app", "extproc-assertion-app")
            return [each.headers.get("x-trace-id") for each in answers]

        ids = login()
        for _ in provider_errors(stack.provider):
            ids += login()
        anonymous = {
            "cookie": "extproc-session-app=CANARY-session; extproc-assertion-app=CANARY.assertion.x"
        }
        for path, headers in (
            ("/oauth2/callback?code=CANARY-code&state=CANARY-state", {}),
            ("/oauth2/callback?code=CANARY-code&code=CANARY-twice", anonymous),
            ("/oauth2/CANARYQ?CANARY-query", {"authorization": "Bearer CANARY-bearer"}),
            (
                "/private?CANARY-query",
                {**anonymous, "sec-fetch-mode": "cors", "referer": "http://x/?CANARY-referer"},
            ),
        ):
            ids.append(
                httpx.get(stack.url(path), headers=headers, trust_env=False).headers.get(
                    "x-trace-id"
                )
            )
        logout = {"logout_token": "CANARY-logout-token"}
        ids.append(
            httpx.post(
                stack.url("/oauth2/backchannel-logout"), data=logout, trust_env=False
            ).headers.get("x-trace-id")
        )
        known = [trace_id for trace_id in ids if trace_id]
        assert len(known) > 20
        for trace_id in known:
            found = trace(stack, trace_id, lambda f: {"envoy", "extproc"} <= services(f["spans"]))
            texts.append(json.dumps(found))
            texts.append(httpx.get(f"{stack.admin}/traces/{trace_id}", trust_env=False).text)
        texts += [
            httpx.get(f"{stack.admin}/traces{kind}", trust_env=False).text for kind in ("", ".json")
        ]
        texts.append(stack.extproc.output())
        reasons = set(re.findall(r'"extproc.reason": "(\w+)"', "".join(texts)))
        # The failures are of many kinds.
        assert len(reasons) > 10, reasons
        whole = "\n".join(texts)
        assert "CANARY-" not in whole
        assert not [secret for secret in secrets if len(secret) > 7 and secret in whole]


def test_a_failure_that_was_not_sampled_is_found_by_the_id_of_its_page():
    provider = FakeProvider()
    provider.answers["/.well-known/openid-configuration"] = answer(500, b"")
    with traced(provider, {"tracing": {"sample": 0}}) as stack, stack.user() as user:
        answered = user.navigate(stack.url("/private?a=1"))
        assert answered.status_code == 503
        trace_id = answered.headers["x-trace-id"]
        (span,) = trace(stack, trace_id, lambda found: found["spans"])["spans"]
        assert span["attributes"]["extproc.reason"] == "provider_unavailable"
        assert (span["attributes"]["extproc.sampled"], span["attributes"]["url.path"]) == (
            "false",
            "/private",
        )
        pasted = " ".join(trace_id[at : at + 4] for at in range(0, 32, 4))
        page = httpx.get(
            f"{stack.admin}/traces", params={"id": pasted}, follow_redirects=True, trust_env=False
        )
        assert page.status_code == 200 and "provider_unavailable" in page.text
