"""Errors of servers, in words of this program's own."""

import ssl

import pytest
from coredis import exceptions

from extproc.sessions.redis.errors import Unreachable, explain


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (exceptions.AuthenticationError("x"), "store.password: the server refused it"),
        (exceptions.AuthorizationError("x"), "NOPERM"),
        (exceptions.ReadOnlyError("x"), "READONLY"),
        (exceptions.StalePrimaryError("x"), "READONLY"),
        (exceptions.ClusterDownError("x"), "CLUSTERDOWN"),
        (exceptions.BusyLoadingError("x"), "LOADING"),
        (exceptions.ConnectionError("x"), "cannot be connected to"),
        (OSError("x"), "cannot be connected to"),
        (exceptions.ResponseError("OOM command not allowed"), "answered OOM"),
        (exceptions.ResponseError("a sealed secret"), "answered with ResponseError"),
    ],
)
def test_an_error_is_explained_without_the_server_s_own_words(error, words):
    assert words in explain(error) and "secret" not in explain(error)


def test_a_refused_password_names_the_setting_that_it_came_from():
    error = exceptions.AuthenticationError("x")
    assert explain(error, "store.sentinel_password").startswith("store.sentinel_password: ")


def test_tls_is_told_from_a_server_that_is_away_by_what_caused_the_error():
    error = exceptions.ConnectionError("x")
    error.__cause__ = OSError("y")
    error.__cause__.__cause__ = ssl.SSLError("z")
    assert "store.ca_file" in explain(error)


def test_causes_that_are_a_circle_come_to_an_end():
    one, two = OSError("1"), OSError("2")
    one.__cause__, two.__cause__ = two, one
    assert explain(one) == "cannot be connected to"


def test_only_a_lost_connection_is_worth_a_retry():
    assert Unreachable("lost", retry=True).retry and not Unreachable("no answer in time").retry
