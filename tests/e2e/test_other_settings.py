"""Envoy and the processor with different settings: refused, and said once in the log."""

import json
from typing import Any

import pytest
import yaml
from harness.envoy import oldest
from harness.fake_provider import FakeProvider
from harness.gateway import Stack


def two(stack: Stack) -> dict[str, Any]:
    """A second application, below /admin/."""
    admin = {
        "hosts": ["localhost"],
        "path_prefix": "/admin/",
        "upstream": stack.app.url,
        "provider": "main",
        "acr_values": ["mfa"],
    }
    return {"applications": {"admin": admin}}


def lines(stack: Stack, event: str) -> list[dict[str, Any]]:
    text = stack.extproc.output()
    every = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return [line for line in every if line["event"] == event]


@pytest.mark.threat("policy-of-the-route")
@pytest.mark.parametrize("envoy", [None, oldest()], ids=["newest", "oldest"])
def test_applications_that_changed_places_are_refused_until_envoy_knows(envoy) -> None:
    with Stack(FakeProvider(), settings=two, envoy=envoy) as stack, stack.user() as user:
        assert user.go(stack.url("/private")).status_code == 200
        settings = yaml.safe_load(stack.config.read_text())
        applications = settings["applications"]
        for name, prefix in (("app", "/admin/"), ("admin", "/")):
            applications[name] |= {"path_prefix": prefix, "public_paths": []}
        stack.stop_extproc()
        stack.config.write_text(yaml.safe_dump(settings))
        stack.start_extproc()
        user.cookies.drop("extproc-assertion-app")
        for _ in range(3):
            for path in ("/private", "/admin/x", "/oauth2/login", "/public/x"):
                answer = user.navigate(stack.url(path))
                assert answer.status_code == 421, path
                assert "misdirected_request" in answer.text
        said = lines(stack, "envoy_differs")
        assert sorted((each["application"], each["level"]) for each in said) == [
            ("admin", "error"),
            ("app", "error"),
        ]
        # Envoy gets its new configuration.
        stack.stop_envoy()
        stack.start_envoy()
        assert user.go(stack.url("/admin/x")).status_code == 200
