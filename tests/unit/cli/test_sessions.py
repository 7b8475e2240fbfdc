"""`extproc sessions`: what it asks the processor, and how the answer is printed."""

import json

import pytest
import yaml
from harness.ports import free_port

SESSION = {
    "id": "0123456789abcdef" * 2,
    "application": "app",
    "provider": None,
    "issuer": "https://idp.example",
    "subject": "alice",
    "sid": None,
    "agent": "Firefox on Linux",
    "address": None,
    "created": 0,
    "used": 60,
    "expires": 3600,
    "idle": 600,
}


@pytest.fixture
def processor(liar, config):
    """The admin listener, which records what it is asked, and answers what the test wants."""
    settings = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump({**settings, "admin": liar.url.removeprefix("http://")}))
    return liar


def answers(processor, document, status=200):
    """Has the processor answer. Returns the list of its requests."""
    requests = []

    def answer(asked):
        requests.append((asked.method, dict(asked.query)))
        return status, {"content-type": "application/json"}, json.dumps(document).encode()

    processor.answers["/sessions"] = answer
    return requests


def sessions(run, config, *arguments):
    return run("sessions", *arguments, "--config", str(config))


def test_a_list_has_a_line_for_each_session(run, config, processor):
    requests = answers(processor, {"sessions": [SESSION, SESSION]})
    line = (
        "0123456789abcdef  app  alice  sid -  since 1970-01-01 00:00:00  "
        "used 1970-01-01 00:01:00  Firefox on Linux  -"
    )
    assert sessions(run, config, "list", "--user", "alice") == (0, f"{line}\n{line}\n")
    assert requests == [("GET", {"user": "alice"})]


FORGED = "\x1b]0;owned\x07 x\r\n0123456789abcdef  app  root\u202e"


@pytest.mark.parametrize("what", ["list", "show"])
@pytest.mark.parametrize(
    "column", ["application", "provider", "issuer", "subject", "sid", "agent", "address"]
)
def test_no_text_of_others_controls_the_terminal_or_forges_a_line(
    run, config, processor, what, column
):
    answers(processor, {"sessions": [SESSION | {column: FORGED}]})
    lines = len(sessions(run, config, what, "--user", "alice")[1].splitlines())
    answers(processor, {"sessions": [SESSION | {column: "plain"}]})
    code, printed = sessions(run, config, what, "--user", "alice")
    assert code == 0 and len(printed.splitlines()) == lines
    answers(processor, {"sessions": [SESSION | {column: FORGED}]})
    printed = sessions(run, config, what, "--user", "alice")[1]
    assert all(character == "\n" or character.isprintable() for character in printed)


def test_an_empty_list_is_empty(run, config, processor):
    requests = answers(processor, {"sessions": []})
    assert sessions(run, config, "list", "--all") == (0, "")
    assert requests == [("GET", {"all": "1"})]


def test_one_session_is_shown_fact_by_fact(run, config, processor):
    answers(processor, {"sessions": [SESSION]})
    code, printed = sessions(run, config, "show", "0123456789abcdef")
    assert code == 0 and f"id           {SESSION['id']}\n" in printed
    assert "expires      1970-01-01 01:00:00\nor unused    1970-01-01 00:10:00\n" in printed


def test_a_session_that_does_not_exist_is_an_error(run, config, processor):
    answers(processor, {"sessions": []})
    assert sessions(run, config, "show", "0123") == (
        1,
        "extproc: there is no such session, or it has ended",
    )


@pytest.mark.parametrize(("ended", "printed"), [(2, "2 ended\n"), (None, "ended\n")])
def test_ending_prints_how_many_where_the_store_knows(run, config, processor, ended, printed):
    requests = answers(processor, {"ended": ended})
    assert sessions(run, config, "end", "--sid", "s1") == (0, printed)
    assert requests == [("DELETE", {"sid": "s1"})]


def test_as_json_the_answer_is_printed_whole(run, config, processor):
    answers(processor, {"sessions": [SESSION]})
    code, printed = sessions(run, config, "list", "--all", "--json")
    assert code == 0 and json.loads(printed) == {"sessions": [SESSION]}


def test_what_the_processor_refuses_is_printed(run, config, processor):
    answers(processor, {"error": "the store does not answer"}, status=503)
    assert sessions(run, config, "list", "--all") == (1, "extproc: the store does not answer")


def test_a_processor_that_does_not_run_is_an_error(run, config):
    settings = yaml.safe_load(config.read_text())
    admin = f"127.0.0.1:{free_port()}"
    config.write_text(yaml.safe_dump({**settings, "admin": admin}))
    assert sessions(run, config, "list", "--all") == (
        1,
        f"extproc: admin: {admin} does not answer (ConnectError); is the processor running?",
    )
