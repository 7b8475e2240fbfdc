"""Real Envoys choose the rules that the core's own matcher chooses, for many rules at random."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from harness.envoy import newest
from harness.envoy_parts import Asked
from harness.envoy_world import Gateway, World
from harness.random_rules import METHODS, PATHS, REQUESTED

from extproc.contract import RULE, SHADOW
from extproc.settings.domain_access import access

# Each Envoy has others.
APPLICATIONS = 20
REQUESTS = 15


def rules(draw: Random) -> list[dict[str, Any]]:
    made = []
    for number in range(draw.randint(1, 5)):
        rule: dict[str, Any] = {
            "name": f"r{number}",
            "paths": draw.sample(PATHS, draw.randint(1, 2)),
        }
        if draw.random() < 0.6:
            rule["methods"] = draw.sample(METHODS, draw.randint(1, 2))
        rule |= draw.choice(
            ({}, {}, {"login": "optional"}, {"login": "none"}, {"deny": True}, {"mode": "shadow"})
        )
        made.append(rule)
    return made


@pytest.fixture(scope="module")
def many(envoy: Path, world: World) -> Iterator[Gateway]:
    draw = Random(16 if envoy == newest() else 17)
    url = world.upstream.url
    applications: dict[str, object] = {
        f"app{number}": {
            "hosts": [f"app{number}.test"],
            "url": f"http://app{number}.test/",
            "upstream": url,
            "provider": "main",
            "csrf": "off",
            "rules": rules(draw),
        }
        for number in range(APPLICATIONS)
    }
    with world.gateway("many", applications) as gateway:
        yield gateway


@pytest.mark.parametrize("number", range(APPLICATIONS))
def test_envoy_chooses_the_rule_that_the_matcher_chooses(
    many: Gateway, world: World, asked: list[Asked], number: int
) -> None:
    core = access(many.settings, f"app{number}")
    draw = Random(core.digest)
    for _ in range(REQUESTS):
        path, method = draw.choice(REQUESTED), draw.choice(METHODS)
        asked.clear()
        world.upstream.received.clear()
        target = path + draw.choice(("", "", "?a=/b/", "?/a"))
        reply = many.client.get(
            target, "content-length: 0", host=f"app{number}.test", method=method
        )
        match = core.match(path, method)
        told = [(each.metadata.get(RULE, ""), each.metadata.get(SHADOW, "")) for each in asked]
        if match.rule is None:
            assert (reply.status, told) == (405, []), (target, method)
        elif match.rule.deny:
            assert (reply.status, told) == (403, []), (target, method)
        elif match.rule.login == "none":
            assert (reply.status, told) == (200, []), (target, method)
        else:
            shadow = match.shadow.name if match.shadow is not None else ""
            assert told == [(match.rule.name, shadow)], (target, method)
            assert reply.status == (200 if match.rule.login == "optional" else 303)
