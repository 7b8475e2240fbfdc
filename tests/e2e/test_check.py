"""`extproc check` beside a real Envoy, a running processor and a provider that can lie."""

import contextlib
import copy
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import yaml
from rig.envoy import EnvoyProcess
from rig.liar import Asked, Liar, Reply
from rig.ports import free_port
from rig.providers import SECRET
from rig.stack import ROOT, Stack, envoy_program
from rig.tokens import public

from extproc.cli import main
from extproc.dataplane import to_yaml
from extproc.settings import load

Tree = dict[str, Any]
CONFIGURATION = "/.well-known/openid-configuration"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(Liar()) as running:
        yield running


@pytest.fixture
def liar(stack: Stack) -> Iterator[Liar]:
    """The provider, that tells the truth again afterwards."""
    yield stack.provider
    for lies in (stack.provider.metadata, stack.provider.answers, stack.provider.callback):
        lies.clear()
    stack.provider.keys[:] = [public("RS256")]


def check(stack: Stack, *arguments: str, config: Path | None = None) -> tuple[int, str]:
    """Exit code and output, in which no secret may be."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), pytest.raises(SystemExit) as done:
        main(["check", "--config", str(config or stack.config), *arguments])  # in this process: imports take seconds
    assert SECRET not in said.getvalue() and stack.settings["secret"] not in said.getvalue()
    return int(done.value.code or 0), said.getvalue()


def lines(output: str, level: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith(f"{level}: ")]


def other(stack: Stack, **changes: Any) -> Path:
    path = stack.directory / "other.yaml"
    path.write_text(yaml.safe_dump({**stack.settings, **changes}))
    return path


def test_what_runs_as_it_should_has_no_error(stack: Stack) -> None:
    code, said = check(stack)
    assert (code, lines(said, "error")) == (0, []), said
    right = "\n".join(lines(said, "ok"))
    assert "the processor is ready" in right and "running Envoy: is as the settings make it" in right
    assert "its keys verify RS256" in right and "Envoy 1." in right
    assert f"redirect_uri              {stack.gateway}/oauth2/callback" in said and "all right" in said.splitlines()[-1]


def test_as_json_it_says_the_same(stack: Stack) -> None:
    code, said = check(stack, "--json")
    document = json.loads(said)
    assert code == 0 and document["right"] and {each["level"] for each in document["findings"]} <= {"ok", "warning"}
    assert all(each["remedy"] for each in document["findings"] if each["level"] != "ok")
    assert any("oauth2/callback" in line for line in document["register"])


def doors(tree: Tree) -> Tree:
    return tree["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]


def opened(tree: Tree) -> None:
    """No gate, and a filter that fails open."""
    filters = doors(tree)["http_filters"]
    wrapped = next(each for each in filters if each["name"] == "decide")["typed_config"]["xds_matcher"]
    wrapped["on_no_match"]["action"]["typed_config"]["typed_config"]["typed_config"]["failure_mode_allow"] = True
    filters[:] = [each for each in filters if each["name"] != "gate"]
    for host in doors(tree)["route_config"]["virtual_hosts"]:
        for route in host["routes"]:
            route["typed_per_filter_config"].pop("gate", None)


def unmatched(tree: Tree) -> None:
    """ExtensionWithMatcher without a matcher: Envoy takes it, and asks nobody."""
    wrapper = next(each for each in doors(tree)["http_filters"] if each["name"] == "decide")["typed_config"]
    wrapper.pop("xds_matcher")


@pytest.mark.parametrize(
    ("edit", "found"),
    [
        (opened, ("failure_mode_allow is on", "there is no gate")),
        (unmatched, ("the filter has no matcher: Envoy leaves the processor out for every request",)),
    ],
    ids=["open", "without_matcher"],
)
def test_extp_16_a_running_envoy_with_an_open_door_is_found(stack: Stack, tmp_path: Path, edit, found) -> None:
    tree, port, admin = copy.deepcopy(yaml.safe_load(to_yaml(load(stack.config)))), free_port(), free_port()
    edit(tree)
    tree["static_resources"]["listeners"][0]["address"]["socket_address"]["port_value"] = port
    tree["admin"]["address"]["socket_address"]["port_value"] = admin
    with EnvoyProcess(yaml.safe_dump(tree), envoy=envoy_program(), port=port, directory=tmp_path):
        code, said = check(stack, "--envoy-admin", f"127.0.0.1:{admin}")
    errors = "\n".join(lines(said, "error"))
    assert code == 1 and all(each in errors for each in found), said
    assert all(" → " in line for line in lines(said, "error"))


def test_an_envoy_of_other_settings_is_found(stack: Stack) -> None:
    """Another application, another secret: said of Envoy and of the processor that run."""
    more = {**stack.settings["applications"], "wiki": {**stack.settings["applications"]["app"], "path_prefix": "/wiki/", "public_paths": []}}  # fmt: skip
    code, said = check(stack, config=other(stack, applications=more, secret="z" * 40))
    errors = "\n".join(lines(said, "error"))
    assert code == 1 and "route on localhost wiki: the route is missing" in errors
    assert "error: secret: the running processor has another secret" in errors and "z" * 40 not in said


def test_parts_that_do_not_run_are_named(stack: Stack, tmp_path: Path) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    gateway = {**stack.settings["gateway"], "admin": nobody}
    _, said = check(stack, config=other(stack, admin=f"127.0.0.1:{free_port()}", gateway=gateway))
    warned = "\n".join(lines(said, "warning"))
    assert f"gateway.admin: http://{nobody} does not answer" in warned and "start it with `extproc serve`" in warned, (
        said
    )
    assert check(stack, "--envoy-admin", nobody)[0] == 1


LIES: dict[str, tuple[dict[str, Any], str]] = {
    "issuer": ({"issuer": "https://evil.example"}, "the provider says issuer 'https://evil.example'"),
    "plain_pkce": ({"code_challenge_methods_supported": ["plain"]}, "lacks S256"),
    "http_endpoint": ({"token_endpoint": "http://evil.example/token"}, "neither https nor http on loopback"),
    "algorithm": ({"id_token_signing_alg_values_supported": ["ES256"]}, "it signs with ES256"),
    "authentication": ({"token_endpoint_auth_methods_supported": ["private_key_jwt"]}, "it takes private_key_jwt"),
    "response_type": ({"response_types_supported": ["token"]}, "does not support the response type code"),
    "keys": ({"jwks_uri": "http://127.0.0.1:9/jwks"}, "cannot be fetched"),
}


@pytest.mark.parametrize("name", LIES)
def test_metadata_that_cannot_work_is_said_with_its_remedy(stack: Stack, liar: Liar, name: str) -> None:
    from extproc.checking.providers import check_provider

    lie, said = LIES[name]
    liar.metadata.update(lie)
    errors = [each for each in check_provider(load(stack.config), "main") if each.level == "error"]
    assert (
        errors and any(said in f"{each.what} {each.remedy}" for each in errors) and all(each.remedy for each in errors)
    )


def test_a_provider_s_clock_its_keys_and_its_silence(stack: Stack, liar: Liar) -> None:
    from extproc.checking.providers import check_provider

    def provider() -> str:
        return "\n".join(f"{each.level}: {each.what}" for each in check_provider(load(stack.config), "main"))

    def late(asked: Asked) -> Reply:
        status, headers, body = liar._truth(asked)
        return status, {**headers, "date": formatdate(1_000_000_000, usegmt=True)}, body

    # reached through Envoy, which writes Date itself: so at its own address
    directly = {**stack.settings["providers"]["main"], "backchannel_url": liar.url}
    config = other(stack, providers={"main": directly})
    liar.answers[CONFIGURATION] = late
    assert "timeouts.clock_skew" in "\n".join(
        each.what for each in check_provider(load(config), "main") if each.level == "error"
    )
    liar.answers.clear()
    liar.keys[:] = []
    assert "no key for RS256" in provider()
    liar.answers[CONFIGURATION] = lambda asked: (404, {}, b"")
    assert "answers 404" in provider()
    liar.answers[CONFIGURATION] = lambda asked: (200, {}, b"<html>")
    assert "error: " in provider()


def login(stack: Stack) -> tuple[int, str]:
    code, said = check(stack, "--login")
    assert "state=…" in said and "code_challenge=…" in said, said
    return code, said


FORM = (200, {"content-type": "text/html"}, b"<form><input type=password name=password></form>")


def test_a_login_is_walked_up_to_the_provider_s_page(stack: Stack, liar: Liar) -> None:
    liar.answers["/auth"] = lambda asked: FORM
    code, said = login(stack)
    assert code == 0 and "the provider shows its login page" in said, said
    assert (
        f"303 GET {stack.gateway}/\n" in said and "303 to the provider with state, nonce, PKCE and redirect_uri" in said
    )
    liar.answers.clear()
    code, said = login(stack)
    assert code == 0 and "without asking anybody; the callback is not called" in said and not liar.redeemed


REFUSALS: dict[str, tuple[Reply, str]] = {
    "redirect_uri": ((400, {}, b"Invalid parameter: redirect_uri"), "as a redirect URI of the client gateway"),
    "client": ((400, {}, b"<p>Client not found.</p>"), "that a client gateway is registered there"),
    "another": ((403, {}, b"no"), "open it in a browser to read why"),
    "broken": ((500, {}, b""), "see the provider's log"),
    "error": ((303, {"location": "{redirect_uri}?error=invalid_scope&state=x"}, b""), "extproc reasons provider_invalid_scope"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_what_the_provider_refuses_is_said_with_what_to_register(stack: Stack, liar: Liar, name: str) -> None:
    (status, headers, body), remedy = REFUSALS[name]

    def refuse(asked: Asked) -> Reply:
        return status, {key: value.format(**asked.query) for key, value in headers.items()}, body

    liar.answers["/auth"] = refuse
    code, said = login(stack)
    assert code == 1 and remedy in "\n".join(lines(said, "error")), said
    if name == "redirect_uri":
        assert f"register {stack.gateway}/oauth2/callback" in said


def test_a_login_of_no_application_is_a_clear_error(stack: Stack) -> None:
    argv = [sys.executable, "-m", "extproc", "check", "--config", str(stack.config), "--login", "gone"]
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 1 and done.stderr == "extproc: no application 'gone' with a login; there are: app\n"
