"""The settings file: what is right is read, and what is wrong is said in one line with the key's
path.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from harness.ports import answers, free_ports

from extproc.settings import (
    CookieSettings,
    Settings,
    SettingsError,
    SQLiteSettings,
    from_text,
    load,
    to_text,
    with_secrets,
)
from extproc.settings.domain import applications
from extproc.settings.store import shares_tombstones

RIGHT = {
    "secret": "x" * 32,
    "providers": {
        "main": {"issuer": "https://idp.example", "client_id": "gateway", "client_secret": "s"}
    },
    "applications": {
        "app": {"hosts": ["localhost"], "upstream": "http://127.0.0.1:9600", "provider": "main"}
    },
}
TLS = dict.fromkeys(("ca", "certificate", "key", "envoy_certificate", "envoy_key"), "x.pem")
EXAMPLE = """
secret: ${EXTPROC_SECRET}
listen: 127.0.0.1:9500
admin: 127.0.0.1:9490
gateway: {listen: "127.0.0.1:8080", url: "http://localhost:8080"}
providers:
  main: {issuer: "http://127.0.0.1:8080/realms/demo", client_id: gateway, client_secret: "${CLIENT_SECRET}"}
applications:
  app: {hosts: ["localhost"], path_prefix: /, upstream: "http://127.0.0.1:9600", provider: main, public_paths: [/public/]}
  idp: {hosts: ["127.0.0.1"], path_prefix: /, upstream: "http://127.0.0.1:8180", exclude: true}
"""


def merged(base, over):
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    result = {name: merged(base.get(name), value) for name, value in over.items()}
    return {name: value for name, value in {**base, **result}.items() if value is not None}


def read(tmp_path, document) -> Settings:
    path = tmp_path / "extproc.yaml"
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return load(path)


def fault(tmp_path, document) -> str:
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, document)
    lines = str(caught.value).splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"{tmp_path / 'extproc.yaml'}")
    return lines[0].removeprefix(f"{tmp_path / 'extproc.yaml'}")


def test_the_example_of_the_issue_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("EXTPROC_SECRET", "s" * 40)
    monkeypatch.setenv("CLIENT_SECRET", "client")
    settings = read(tmp_path, EXAMPLE)
    assert settings.url("app") == "http://localhost:8080/"
    assert settings.ring()[0].get_secret_value() == "s" * 40
    assert settings.providers["main"].auth_method == "client_secret_basic"
    assert (settings.timeouts.connect, settings.timeouts.call, settings.timeouts.callback) == (
        2,
        5,
        15,
    )
    assert (
        settings.session.lifetime,
        settings.session.idle,
        settings.identity.assertion_lifetime,
    ) == (
        43_200,
        3600,
        60,
    )
    assert "s" * 40 not in repr(settings) and "client'" not in repr(
        settings.providers["main"].client_secret
    )


@pytest.mark.attack("HDR-16")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        *(
            ({"store": {"kind": "redis", "servers": ["r:6379"], **change}}, f": store{said}")
            for change, said in (
                ({"servers": []}, ": servers is empty"),
                ({"servers": ["r"]}, ".servers[0]: an address is host:port"),
                (
                    {"servers": ["unix:/run/redis.sock"]},
                    ": servers are host:port, without unix sockets",
                ),
                ({"servers": ["a:1", "b:1"]}, ": servers has 2 addresses, and mode single one"),
                ({"mode": "sentinal"}, ".mode: "),
                ({"mode": "sentinel"}, ": master is the name that sentinels watch"),
                ({"master": "m"}, ": master is the name that sentinels watch"),
                ({"mode": "cluster", "db": 1}, ": db is 0 in mode cluster"),
                (
                    {"sentinel_username": "u"},
                    ": sentinel_username and sentinel_password go with mode sentinel",
                ),
                ({"ca_file": "ca.pem"}, ": ca_file needs tls: true"),
                ({"password": "a", "password_file": "b"}, ": password or password_file, not both"),
                ({"username": "u"}, ": username needs password or password_file"),
                ({"password": ""}, ".password is empty"),
                ({"key_prefix": "a{b}*"}, ".key_prefix: "),
                ({"pasword": "a"}, ".pasword: there is no such key; did you mean password?"),
                ({"deadline": 0}, ".deadline: "),
            )
        ),
        ({"secret": None}, ": secret or secret_file is needed"),
        ({"secret": "x" * 31}, ": secret has 31 bytes; 32 or more"),
        ({"secret": ["x" * 32, "short"]}, ": secret has 5 bytes"),
        ({"gatway": {}}, ": gatway: there is no such key; did you mean gateway?"),
        (
            {"providers": {"main": {"client_secrt": "x"}}},
            ": providers.main.client_secrt: there is no such key; did you mean client_secret?",
        ),
        (
            {"providers": {"main": {"issuer": "http://idp.example"}}},
            ": providers.main: issuer begins with https://",
        ),
        (
            {"providers": {"main": {"issuer": "https://u@idp.example"}}},
            ": providers.main: issuer is an address",
        ),
        (
            {"providers": {"main": {"client_id": 5}}},
            ": providers.main.client_id: input should be a valid string",
        ),
        (
            {
                "providers": {
                    "main": {
                        "client_secret": None,
                        "token_endpoint_auth_method": "client_secret_post",
                    }
                }
            },
            "needs client_secret",
        ),
        ({"providers": {"main": {"scopes": ["email"]}}}, "scopes must contain openid"),
        ({"providers": {"main": {"scopes": ["openid", "a b"]}}}, "scopes is a list"),
        (
            {"applications": {"app": {"provider": "other"}}},
            ": applications.app.provider: there is no provider 'other'; there are: main",
        ),
        ({"applications": {"app": {"provider": None}}}, ": applications.app: provider is missing"),
        (
            {
                "applications": {
                    "extproc-assertion-a": {
                        "hosts": ["a"],
                        "upstream": "http://127.0.0.1:1",
                        "exclude": True,
                    }
                }
            },
            "looks like a cookie of ours",
        ),
        (
            {"applications": {"app": {"hosts": "localhost"}}},
            ": applications.app.hosts: input should be a valid array",
        ),
        ({"applications": {"app": {"hosts": []}}}, ": applications.app.hosts: "),
        (
            {"applications": {"app": {"hosts": ["localhost:80"]}}},
            "is no host name in lower case without a port",
        ),
        ({"applications": {"app": {"hosts": ["other.example"]}}}, "which is not among its hosts"),
        ({"applications": {"app": {"upstream": "127.0.0.1:9600"}}}, "upstream is an address"),
        ({"applications": {"app": {"upstream": "ftp://127.0.0.1"}}}, "upstream is an address"),
        ({"applications": {"app": {"upstream": "http://127.0.0.1:x"}}}, ": applications.app: "),
        ({"applications": {"app": {"path_prefix": "/a"}}}, "path_prefix begins and ends with /"),
        ({"applications": {"app": {"public_paths": ["public"]}}}, "is no plain path"),
        ({"applications": {"app": {"public_paths": ["/a/../b"]}}}, "is no plain path"),
        ({"applications": {"app": {"public_paths": ["/oauth2/x"]}}}, "our own endpoints"),
        (
            {"applications": {"app": {"public_pahts": ["/a"]}}},
            ": applications.app.public_pahts: there is no such key; did you mean public_paths?",
        ),
        (
            {"applications": {"app": {"exclude": "yes"}}},
            ": applications.app.exclude: input should be a valid boolean",
        ),
        (
            {"applications": {"App": {"hosts": ["x"], "upstream": "http://x", "exclude": True}}},
            "is no name of lower-case letters",
        ),
        (
            {
                "applications": {
                    "two": {"hosts": ["localhost"], "upstream": "http://x", "exclude": True}
                }
            },
            "app has the host localhost with path_prefix / already",
        ),
        (
            {
                "applications": {
                    "two": {
                        "hosts": ["localhost"],
                        "path_prefix": "/oauth2/x/",
                        "upstream": "http://x",
                        "exclude": True,
                    }
                }
            },
            "lies among the endpoints of app",
        ),
        ({"applications": None}, ": applications: is missing"),
        ({"listen": "9500"}, ": listen: an address is host:port"),
        ({"listen": "127.0.0.1:99999"}, ": listen: an address is host:port"),
        ({"session": {"idle": "soon"}}, ": session.idle: a duration is a number of seconds"),
        ({"session": {"refresh": "always"}}, ": session.refresh: "),
        ({"session": {"refresh_margin": "2h"}}, ": session.refresh_margin: "),
        (
            {
                "applications": {
                    "app": {"exclude": True, "provider": None, "forward_access_token": True}
                }
            },
            "exclude: true goes with neither provider nor public_paths nor forward_access_token",
        ),
        *(
            ({"applications": {"app": change}}, f": applications.app{said}")
            for change, said in (
                ({"acr_values": "gold"}, ".acr_values: input should be a valid array"),
                ({"acr_values": ["gold silver"]}, ": acr_values: 'gold silver' is no acr value"),
                ({"acr_values": ['"']}, ": acr_values: '\"' is no acr value"),
                ({"acr_values": [""]}, ": acr_values: '' is no acr value"),
                ({"max_age": "soon"}, ".max_age: a duration is a number of seconds"),
                (
                    {"max_age": 0},
                    ": max_age is whole seconds, 1m or more; to have users sign in anew at "
                    "each login set",
                ),
                ({"max_age": 90.5}, ": max_age is whole seconds, 1m or more"),
                ({"prompt": "none"}, ": prompt: none asks nothing, so nobody could sign in"),
                ({"prompt": "login none"}, ": prompt: none asks nothing"),
                ({"prompt": "logn"}, ": prompt: 'logn' is not one or several"),
                ({"prompt": ""}, ": prompt: '' is not one or several"),
                *(
                    (
                        {"authorization_params": {name: "x"}},
                        f": authorization_params: {name} is for the gateway to say",
                    )
                    for name in (
                        "client_id",
                        "redirect_uri",
                        "state",
                        "nonce",
                        "code_challenge",
                        "code_challenge_method",
                        "response_type",
                        "response_mode",
                        "scope",
                        "request",
                        "request_uri",
                        "acr_values",
                        "max_age",
                        "prompt",
                        "State",
                    )
                ),
                (
                    {"authorization_params": {"max_age": "5"}},
                    ": authorization_params: max_age is for the gateway to say (it has",
                ),
                (
                    {"authorization_params": {"a b": "x"}},
                    ": authorization_params: 'a b' is no name of a parameter",
                ),
                ({"authorization_params": {"a": ""}}, ": authorization_params.a is printable text"),
                (
                    {"authorization_params": {"a": "x\r\ny"}},
                    ": authorization_params.a is printable text",
                ),
                (
                    {"authorization_params": {"a": 5}},
                    ".authorization_params.a: input should be a valid string",
                ),
                (
                    {"exclude": True, "provider": None, "stream_lifetime": "1h"},
                    ": exclude: true has no sessions, so neither stream_lifetime nor "
                    "end_streams can go with it",
                ),
                (
                    {"exclude": True, "provider": None, "end_streams": ["websocket"]},
                    ": exclude: true has no sessions, so neither stream_lifetime nor "
                    "end_streams can go with it",
                ),
                (
                    {"stream_lifetime": 0},
                    ".stream_lifetime: input should be greater than or equal to 1",
                ),
                (
                    {"end_streams": ["sockets"]},
                    ".end_streams[0]: input should be 'websocket', 'event_stream' or 'grpc'",
                ),
                (
                    {"end_streams": ["websocket"], "upstream_http2": True},
                    ": end_streams: a WebSocket needs HTTP/1.1 to the application; leave "
                    "out websocket or upstream_http2",
                ),
                (
                    {"exclude": True, "provider": None, "max_age": "1h"},
                    ": exclude: true goes with none of acr_values, max_age, prompt, "
                    "authorization_params",
                ),
            )
        ),
        ({"session": {"idle": 0}}, ": session.idle: input should be greater than 0"),
        ({"timeouts": {"call": True}}, ": timeouts.call: a duration is"),
        ({"timeouts": {"clock_skew": 61}}, ": timeouts.clock_skew: "),
        ({"identity": {"header_prefix": "auth-"}}, ": identity.header_prefix: "),
        ({"identity": {"headers": {"x-auth-sub": "email"}}}, "headers must have x-auth-sub: sub"),
        (
            {"identity": {"headers": {"x-auth-sub": "sub", "X-Auth-Mail": "email"}}},
            "is no lower-case header name",
        ),
        ({"identity": {"assertion_lifetime": 2}}, "assertion_lifetime is 0, or 8 s to 1 h"),
        ({"identity": {"keys_refresh": 0}}, "keys_refresh is 1 s to 1 h"),
        (
            {"gateway": {"keys": ["10.0.0.1:9490"]}},
            "gateway.keys: 10.0.0.1:9490 is not on loopback",
        ),
        ({"gateway": {"keys": ["unix:/run/x.sock"]}}, "keys: unix:/run/x.sock is no host:port"),
        (
            {"gateway": {"tls": {"certificate": "a", "key": "b"}}},
            "tls is set, so url begins with https://",
        ),
        ({"gateway": {"url": "http://localhost/x"}}, "url has no path"),
        (
            {"gateway": {"redirect_listen": "0.0.0.0:80"}},
            "redirect_listen needs a url that begins with https://",
        ),
        ({"admin": "unix:/x"}, ": admin is host:port"),
        ({"limits": {"callback": 0}}, ": limits.callback: "),
        ({"store": {"kind": "zoo"}}, ": store.kind: there is no kind 'zoo'; there are: 'sqlite'"),
        ({"store": {"pth": "x"}}, ": store.pth: there is no such key; did you mean path?"),
        ({"store": {"kind": "cookie", "path": "x"}}, ": store.path: there is no such key"),
        (
            {"store": {"kind": "cookie", "tombstones": {"kind": "cookie"}}},
            ": store.tombstones.kind: there is no kind 'cookie'",
        ),
        (
            {"store": {"kind": "cookie", "tombstones": {"pth": "x"}}},
            ": store.tombstones.pth: there is no such key; did you mean path?",
        ),
        (
            {"providers": {"store": {"issuer": "https://x"}}},
            ": providers.store.client_id: is missing",
        ),
        ({"workers": 0}, ": workers: "),
        (
            {"workers": 2, "store": {"kind": "cookie"}},
            "workers: with store.kind cookie, several need store.tombstones",
        ),
        ({"workers": "many"}, ": workers: "),
        (
            {"workers": 2, "admin": "127.0.0.1:9501"},
            "admin: 127.0.0.1:9501 is the address of worker 2 of workers: 2",
        ),
        (
            {"workers": 2, "gateway": {"listen": "0.0.0.0:9501"}},
            "gateway.listen: 0.0.0.0:9501 is the address of worker 2",
        ),
        (
            {"workers": 3, "gateway": {"admin": "localhost:9502"}},
            "gateway.admin: localhost:9502 is the address of worker 3",
        ),
        (
            {"listen": "0.0.0.0:9500"},
            "listen: 0.0.0.0:9500 is not on loopback, and nothing there asks who is "
            "calling; set listen_tls",
        ),
        (
            {"admin": "extproc:9490", "allow_plaintext": ["listen"]},
            "admin: extproc:9490 is not on loopback",
        ),
        ({"gateway": {"admin": "[::]:9901"}}, "gateway.admin: [::]:9901 is not on loopback"),
        ({"allow_plaintext": ["all"]}, "allow_plaintext"),
        (
            {"listen": "unix:/x.sock", "listen_mode": 660},
            'listen_mode: access rights are octal digits in quotes, such as "0660"',
        ),
        ({"listen": "unix:/x.sock", "listen_mode": "0680"}, "listen_mode: access rights"),
        (
            {"listen": "unix:/x.sock", "listen_tls": TLS},
            "listen_tls: listen is a unix socket; who may open it is said by listen_mode",
        ),
        (
            {"admin": "127.0.0.1:9500"},
            "admin: 127.0.0.1:9500 is listen, too; choose another port for admin or listen",
        ),
        (
            {"workers": 2, "listen": "127.0.0.1:65535"},
            "listen: 127.0.0.1:65535 leaves no port for worker 2",
        ),
        (
            {"workers": 2, "listen": "127.0.0.1:0"},
            "listen: 127.0.0.1:0 leaves no port for worker 1",
        ),
        (
            {"workers": 2, "gateway": {"processors": ["127.0.0.1:9500"]}},
            "gateway.processors lists 1 of the 2 addresses of workers",
        ),
        (
            {"store": {"kind": "cookie"}},  # row LOGO-19
            "providers.main.backchannel_logout: sessions are in cookies, so a provider can "
            "end them only where a store"
            " remembers it: set store.tombstones, or backchannel_logout: false",
        ),
        ({"session": {"logout": "everything"}}, ": session.logout: "),
        ({"session": {"per_user": 0}}, ": session.per_user: "),
        ({"providers": {"main": {"userinfo": "often"}}}, ": providers.main.userinfo: "),
        (
            {
                "session": {"per_user": 2},
                "store": {"kind": "cookie", "tombstones": {"path": "over"}},
            },
            "session.per_user: with store.kind cookie nobody can count sessions; leave it "
            "out, or choose store.kind sqlite or redis",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, change, said):
    assert said in fault(tmp_path, merged(RIGHT, change))


@pytest.mark.parametrize(
    ("change", "per_user", "again"),
    [
        ({}, None, False),
        ({"session": {"per_user": 3}, "providers": {"main": {"userinfo": "refresh"}}}, 3, True),
    ],
)
def test_what_is_said_of_sessions_and_userinfo_reaches_the_core(tmp_path, change, per_user, again):
    settings = read(tmp_path, merged(RIGHT, change))
    core = applications(settings, settings.key_ring())["app"]
    assert (core.sessions_per_user, core.userinfo_at_refresh) == (per_user, again)


def test_the_kind_of_store_may_be_left_out(tmp_path):
    assert read(tmp_path, RIGHT).store == SQLiteSettings()
    assert read(tmp_path, {**RIGHT, "store": {"path": "x"}}).store == SQLiteSettings(path=Path("x"))
    assert shares_tombstones(read(tmp_path, RIGHT).store)
    alone = merged(
        RIGHT, {"store": {"kind": "cookie"}, "providers": {"main": {"backchannel_logout": False}}}
    )
    assert not shares_tombstones(read(tmp_path, alone).store)
    cookie = {**RIGHT, "store": {"kind": "cookie", "tombstones": {"path": "t"}}}
    assert read(tmp_path, cookie).store == CookieSettings(
        kind="cookie", tombstones=SQLiteSettings(path=Path("t"))
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "is not YAML"),
        ("secret: *a-secret\n", ":1: is not YAML: a value that begins with *, & or ! needs quotes"),
        ("secret: !a-secret\n", ":1: is not YAML: a value that begins with *, & or ! needs quotes"),
        ("- a", ": is a list; a mapping"),
        ("", ": is a NoneType; a mapping"),
        (
            "secret: ${NOT_SET_ANYWHERE}\n",
            ": secret: the environment variable NOT_SET_ANYWHERE is not set",
        ),
    ],
)
def test_what_is_no_settings_file_is_said_clearly(tmp_path, text, said):
    assert said in fault(tmp_path, text) and "a-secret" not in fault(tmp_path, text)


def test_a_file_that_is_missing_is_said_clearly(tmp_path):
    with pytest.raises(SettingsError, match="No such file"):
        load(tmp_path / "gone.yaml")


def test_a_password_file_that_is_missing_or_empty_is_said_clearly(tmp_path):
    for content, said in ((None, "No such file"), (" \n", "store.password_file: ")):
        if content is not None:
            (tmp_path / "password").write_text(content)
        with pytest.raises(SettingsError, match=said):
            read(
                tmp_path,
                RIGHT
                | {
                    "store": {
                        "kind": "redis",
                        "servers": ["r:1"],
                        "password_file": str(tmp_path / "password"),
                    }
                },
            )


def test_several_faults_are_said_at_once(tmp_path):
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, merged(RIGHT, {"lisen": "x", "session": {"idle": "x"}, "admin": 5}))
    assert len(str(caught.value).splitlines()) == 3


def test_no_fault_prints_a_secret(tmp_path):
    with pytest.raises(SettingsError) as caught:
        read(
            tmp_path,
            merged(
                RIGHT, {"secret": "hunter2", "providers": {"main": {"client_secret": ["hunter3"]}}}
            ),
        )
    assert "hunter" not in str(caught.value)


def test_secrets_may_be_in_files_and_the_ring_in_a_list(tmp_path):
    (tmp_path / "ring").write_text("a" * 32 + "\n" + "b" * 32 + "\n")
    (tmp_path / "client").write_text("s3cret\n")
    settings = read(
        tmp_path,
        merged(
            RIGHT,
            {
                "secret": None,
                "secret_file": str(tmp_path / "ring"),
                "providers": {
                    "main": {"client_secret": None, "client_secret_file": str(tmp_path / "client")}
                },
            },
        ),
    )
    assert [s.get_secret_value()[0] for s in settings.ring()] == ["a", "b"]
    assert settings.providers["main"].secret().get_secret_value() == "s3cret"
    (tmp_path / "ring").write_text("short")
    assert "secret has 5 bytes" in fault(
        tmp_path, merged(RIGHT, {"secret": None, "secret_file": str(tmp_path / "ring")})
    )
    assert "No such file" in fault(
        tmp_path, merged(RIGHT, {"secret": None, "secret_file": str(tmp_path / "gone")})
    )


def test_durations_and_literal_dollars(tmp_path):
    settings = read(
        tmp_path,
        merged(
            RIGHT,
            {
                "secret": "$${x}" + "x" * 40,
                "session": {"lifetime": "7d", "idle": "90m"},
                "timeouts": {"connect": "500ms"},
            },
        ),
    )
    assert (settings.session.lifetime, settings.session.idle, settings.timeouts.connect) == (
        604_800,
        5400,
        0.5,
    )
    assert settings.ring()[0].get_secret_value().startswith("${x}x")


def test_workers_auto_is_one_for_each_cpu_that_may_be_used(tmp_path):
    settings = read(tmp_path, merged(RIGHT, {"workers": "auto"}))
    assert settings.worker_count == len(settings.listens) == len(os.sched_getaffinity(0))


def test_settings_are_handed_over_whole_whatever_becomes_of_their_files(tmp_path):
    (tmp_path / "ring").write_text("a" * 32 + "\n" + "b" * 32 + "\n")
    (tmp_path / "client").write_text("s3cret\n")
    from_files = {"client_secret": None, "client_secret_file": str(tmp_path / "client")}
    changes = {
        "secret": None,
        "secret_file": str(tmp_path / "ring"),
        "providers": {"main": from_files},
        "listen": "unix:/run/x.sock",
        "timeouts": {"connect": "500ms"},
    }
    settings = with_secrets(read(tmp_path, merged(RIGHT, changes)))
    (tmp_path / "ring").unlink()
    (tmp_path / "client").write_text("other")
    handed = from_text(to_text(settings))
    assert handed == settings and "\n" not in to_text(settings)
    assert [secret.get_secret_value()[0] for secret in handed.ring()] == ["a", "b"]
    assert handed.providers["main"].secret().get_secret_value() == "s3cret"
    assert from_text(to_text(read(tmp_path, RIGHT))).providers == read(tmp_path, RIGHT).providers


REDIS = {"kind": "redis", "servers": ["127.0.0.1:6379"], "username": "u", "password_file": "word"}


@pytest.mark.parametrize(
    "store", [REDIS, {"kind": "cookie", "tombstones": REDIS}], ids=["store", "tombstones"]
)
def test_a_worker_needs_no_file_of_the_store_s_password(tmp_path, monkeypatch, store):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "word").write_text("s3cret\n")
    settings = with_secrets(read(tmp_path, merged(RIGHT, {"store": store})))
    (tmp_path / "word").unlink()
    handed = from_text(to_text(settings)).store
    assert (
        handed.tombstones if store["kind"] == "cookie" else handed
    ).secret().get_secret_value() == "s3cret"


def run(*arguments, cwd) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "extproc", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[3])},
    )


def test_the_command_line_says_what_is_wrong_and_exits_1(tmp_path):
    for command in ("serve", "envoy", "check"):
        done = run(command, "--config", "gone.yaml", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (
            1,
            "",
        ) and done.stderr == "gone.yaml: No such file or directory\n"
    assert run(cwd=tmp_path).returncode == 2


def test_envoy_writes_its_file_whole_and_without_a_shell(tmp_path):
    (tmp_path / "extproc.yaml").write_text(yaml.safe_dump(RIGHT))
    (tmp_path / "envoy.yaml").write_text("old")
    (tmp_path / "bad.yaml").write_text("a: [")
    assert (
        run("envoy", "--config", "bad.yaml", "--output", "envoy.yaml", cwd=tmp_path).returncode == 1
    )
    assert (tmp_path / "envoy.yaml").read_text() == "old"
    done = run("envoy", "--output", "envoy.yaml", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "envoy.yaml").read_text() == run("envoy", cwd=tmp_path).stdout != ""
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "bad.yaml",
        "envoy.yaml",
        "extproc.yaml",
    ]
    done = run("envoy", "--output", "gone/envoy.yaml", cwd=tmp_path)
    assert done.returncode == 1 and "gone/envoy.yaml: No such file or directory" in done.stderr


def test_check_names_what_to_register(tmp_path):
    (tmp_path / "extproc.yaml").write_text(yaml.safe_dump(RIGHT))
    done = run("check", "--offline", cwd=tmp_path)
    assert (
        done.returncode == 0
        and "http://localhost:8080/oauth2/callback" in done.stdout
        and done.stdout.splitlines()[-1].startswith("OK")
    )


def test_the_schema_is_json_and_describes_every_key(tmp_path):
    done = run("schema", cwd=tmp_path)
    assert done.stderr == ""
    schema = json.loads(done.stdout)
    assert {"secret", "gateway", "providers", "applications", "identity", "timeouts"} <= set(
        schema["properties"]
    )


def test_serve_says_when_it_cannot_listen(tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for key, other in (("listen", "admin"), ("admin", "listen")):
            (tmp_path / "extproc.yaml").write_text(
                yaml.safe_dump(RIGHT | {key: f"127.0.0.1:{port}", other: "127.0.0.1:0"})
            )
            done = run("serve", cwd=tmp_path)
            assert (
                done.returncode == 1
                and f"extproc: {key}: 127.0.0.1:{port} cannot be bound" in done.stderr
                and "Traceback" not in done.stderr
            )


def test_check_names_the_addresses_of_several_workers(tmp_path):
    (tmp_path / "extproc.yaml").write_text(yaml.safe_dump(RIGHT | {"workers": 2}))
    assert (
        "2 workers, at 127.0.0.1:9500, 127.0.0.1:9501\n"
        in run("check", "--offline", cwd=tmp_path).stdout
    )


def test_several_workers_say_when_one_of_them_cannot_listen_and_none_stays(tmp_path):
    import socket

    first = free_ports(3)
    said = {"workers": 2, "listen": f"127.0.0.1:{first}", "admin": f"127.0.0.1:{first + 2}"}
    (tmp_path / "extproc.yaml").write_text(yaml.safe_dump(RIGHT | said))
    for key, port in (("listen", first + 1), ("admin", first + 2)):
        with socket.create_server(("127.0.0.1", port)):
            done = run("serve", cwd=tmp_path)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert f"extproc: {key}: 127.0.0.1:{port} cannot be bound" in done.stderr
        assert not answers(first)


def test_a_store_that_cannot_be_opened_is_said_with_several_workers_too(tmp_path):
    said = {"workers": 2, "store": {"path": str(tmp_path / "gone" / "x.sqlite3")}}
    (tmp_path / "extproc.yaml").write_text(
        yaml.safe_dump(RIGHT | said | {"admin": f"127.0.0.1:{free_ports(1)}"})
    )
    done = run("serve", cwd=tmp_path)
    assert (
        done.returncode == 1
        and "extproc: store.path" in done.stderr
        and "Traceback" not in done.stderr
    )
