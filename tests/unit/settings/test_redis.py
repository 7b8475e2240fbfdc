"""Settings of a store in Redis."""

import pytest

from extproc.settings import RedisSettings


@pytest.mark.parametrize(
    ("change", "explanation"),
    [
        ({"servers": []}, ": store: servers is empty"),
        ({"servers": ["r"]}, ": store.servers[0]: an address is host:port"),
        (
            {"servers": ["unix:/run/redis.sock"]},
            ": store: servers are host:port, without unix sockets",
        ),
        (
            {"servers": ["a:1", "b:1"]},
            ": store: servers has 2 addresses, but mode single uses one",
        ),
        ({"mode": "sentinal"}, ": store.mode: "),
        ({"mode": "sentinel"}, ": store: master is the name that sentinels watch"),
        ({"master": "m"}, ": store: master is the name that sentinels watch"),
        ({"mode": "cluster", "db": 1}, ": store: db is 0 in mode cluster"),
        (
            {"sentinel_username": "u"},
            ": store: sentinel_username and sentinel_password go with mode sentinel",
        ),
        ({"ca_file": "ca.pem"}, ": store: ca_file needs tls: true"),
        (
            {"password": "a", "password_file": "b"},
            ": store: password or password_file, not both",
        ),
        ({"username": "u"}, ": store: username needs password or password_file"),
        (
            {
                "mode": "sentinel",
                "master": "m",
                "sentinel_password": "a",
                "sentinel_password_file": "b",
            },
            ": store: sentinel_password or sentinel_password_file, not both",
        ),
        (
            {"mode": "sentinel", "master": "m", "sentinel_username": "u"},
            ": store: sentinel_username needs sentinel_password or sentinel_password_file",
        ),
        ({"password": ""}, ": store.password is empty"),
        ({"key_prefix": "a{b}*"}, ": store.key_prefix: "),
        ({"pasword": "a"}, ": store.pasword: there is no such key; did you mean password?"),
        ({"deadline": 0}, ": store.deadline: "),
    ],
)
def test_a_wrong_redis_store_is_explained_in_one_line(fault, change, explanation):
    assert explanation in fault({"store": {"kind": "redis", "servers": ["r:6379"], **change}})


@pytest.mark.parametrize(
    ("mode", "master", "replicas", "waits_for"),
    [
        ("single", None, None, 0),
        ("single", None, 2, 2),
        ("cluster", None, None, 1),
        ("sentinel", "m", None, 1),
        ("sentinel", "m", 0, 0),
    ],
)
def test_a_write_waits_for_one_replica_where_there_may_be_replicas(
    mode, master, replicas, waits_for
):
    settings = RedisSettings(
        kind="redis", servers=("r:1",), mode=mode, master=master, replicas=replicas
    )
    assert settings.waits_for == waits_for


def test_a_password_file_that_is_missing_or_empty_is_said_clearly(tmp_path, read, fault):
    file = tmp_path / "password"
    store = {"kind": "redis", "servers": ["r:1"], "password_file": str(file)}
    assert fault({"store": store}) == (f": store.password_file: {file}: No such file or directory")
    file.write_text(" \n")
    assert fault({"store": store}) == f": store.password_file: {file} is empty"
    tombstones = {"kind": "cookie", "tombstones": store}
    assert fault({"store": tombstones}).startswith(": store.tombstones.password_file: ")
    file.write_text("s3cret\n")
    assert read({"store": store}).store.secret().get_secret_value() == "s3cret"
