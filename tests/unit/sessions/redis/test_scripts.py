"""The scripts as text; what they do, tests/contract shows at real servers."""

import hashlib

import pytest

from extproc.sessions.redis import scripts
from extproc.sessions.redis.scripts import Script

SCRIPTS = {name: value for name, value in vars(scripts).items() if isinstance(value, Script)}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_known_by_the_hash_of_what_is_sent(name):
    script = SCRIPTS[name]
    assert script.sha == hashlib.sha1(script.text.encode()).hexdigest()


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_a_pcall_met_is_looked_at_before_it_is_used(name):
    text = SCRIPTS[name].text
    assert "--fails:" not in text
    assert text.count("redis.pcall") == text.count("'WRONGTYPE'")


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_key_that_a_script_makes_has_an_expiry(name):
    """Otherwise a server would keep for ever what no processor reads again."""
    text = SCRIPTS[name].text
    for line in text.splitlines():
        if "'SET'" in line:
            assert "'PX'" in line or "'PXAT'" in line, line
    if any(f"'{command}'" in text for command in ("HSET", "ZADD")):
        assert "PEXPIREAT" in text or name == "TOUCH", "TOUCH changes a hash that there is"
