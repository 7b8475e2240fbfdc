"""The whole settings file as one model."""

import os

import pytest
import yaml
from jsonschema import Draft202012Validator

from extproc.settings import Settings, load

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


def test_the_example_of_the_issue_is_read(file, monkeypatch):
    monkeypatch.setenv("EXTPROC_SECRET", "s" * 40)
    monkeypatch.setenv("CLIENT_SECRET", "client")
    file.write_text(EXAMPLE)
    settings = load(file)
    assert settings.url("app") == "http://localhost:8080/"
    assert settings.ring()[0].get_secret_value() == "s" * 40
    main, timeouts = settings.providers["main"], settings.timeouts
    assert main.auth_method == "client_secret_basic"
    assert (timeouts.connect, timeouts.call, timeouts.callback) == (2, 5, 15)
    assert (settings.session.lifetime, settings.session.idle) == (43_200, 3600)
    assert settings.identity.assertion_lifetime == 60
    assert "s" * 40 not in repr(settings) and "client'" not in repr(main.client_secret)


@pytest.mark.parametrize(
    ("change", "explanation"),
    [
        ({"secret": None}, ": secret or secret_file is needed"),
        ({"secret_file": "ring"}, ": secret or secret_file is needed"),
        ({"secret": "x" * 31}, ": secret has 31 bytes; 32 or more"),
        ({"secret": ["x" * 32, "short"]}, ": secret has 5 bytes"),
        ({"listen": "9500"}, ": listen: an address is host:port"),
        ({"listen": "127.0.0.1:99999"}, ": listen: an address is host:port"),
        ({"admin": "unix:@x"}, ": admin: the path of a unix socket has no control characters"),
        ({"admin_mode": "0666"}, ": admin_mode: 0666 lets every user of the machine open"),
        (
            {"admin_hosts": ["Admin.example"]},
            ": admin_hosts[0]: a host name in lower case, without",
        ),
        (
            {"admin_hosts": ["admin.example:80"]},
            ": admin_hosts[0]: a host name in lower case, without",
        ),
        ({"workers": 0}, ": workers: "),
        ({"workers": "many"}, ": workers: "),
        (
            {"workers": 2, "listen": "127.0.0.1:65535"},
            "listen: 127.0.0.1:65535 leaves no port for worker 2",
        ),
        (
            {"workers": 2, "listen": "127.0.0.1:0"},
            "listen: 127.0.0.1:0 leaves no port for worker 1",
        ),
    ],
)
def test_a_wrong_secret_or_address_is_explained_in_one_line(fault, change, explanation):
    assert explanation in fault(change)


def test_secrets_may_be_in_files_and_the_ring_in_a_list(tmp_path, read, fault):
    (tmp_path / "ring").write_text("a" * 32 + "\n" + "b" * 32 + "\n")
    (tmp_path / "client").write_text("s3cret\n")
    from_file = {"client_secret": None, "client_secret_file": str(tmp_path / "client")}
    ring = {"secret": None, "secret_file": str(tmp_path / "ring")}
    settings = read({**ring, "providers": {"main": from_file}})
    assert [secret.get_secret_value()[0] for secret in settings.ring()] == ["a", "b"]
    assert settings.providers["main"].secret().get_secret_value() == "s3cret"
    (tmp_path / "client").write_bytes(b"hunter2\xff")
    assert fault({**ring, "providers": {"main": from_file}}) == (
        f": providers.main.client_secret_file: {tmp_path / 'client'}: is not UTF-8 text"
    )
    (tmp_path / "ring").write_text("short")
    assert "secret has 5 bytes" in fault(ring)
    assert "No such file" in fault({"secret": None, "secret_file": str(tmp_path / "gone")})


def test_workers_auto_is_one_for_each_cpu_that_may_be_used(read):
    settings = read({"workers": "auto"})
    assert settings.worker_count == len(settings.listens) == len(os.sched_getaffinity(0))


def test_clients_may_call_admin_by_the_name_that_the_settings_give_it(read):
    named = read({"admin": "extproc.sso.svc:9490", "allow_plaintext": ["admin"]})
    assert named.admin_names == ("extproc.sso.svc",)
    assert read({"admin": "unix:/x.sock", "admin_hosts": ["a.svc"]}).admin_names == ("a.svc",)


def test_every_worker_has_an_address_of_its_own(read):
    ports = read({"workers": 3, "listen": "127.0.0.1:9500"})
    assert [str(address) for address in ports.listens] == [
        "127.0.0.1:9500",
        "127.0.0.1:9501",
        "127.0.0.1:9502",
    ]
    assert [str(address) for address in read({"listen": "unix:/x.sock"}).listens] == [
        "unix:/x.sock"
    ]


def test_an_application_s_url_is_the_gateway_s_with_its_prefix_unless_it_has_one(read):
    wiki = {"hosts": ["localhost"], "path_prefix": "/wiki/", "upstream": "http://x:1"}
    own = {**wiki, "hosts": ["own.example"], "url": "https://own.example/wiki/"}
    excluded = {"hosts": ["plain.example"], "upstream": "http://x:1", "exclude": True}
    settings = read(
        {
            "applications": {
                "wiki": {**wiki, "provider": "main"},
                "own": {**own, "provider": "main"},
                "plain": excluded,
            }
        }
    )
    assert settings.url("wiki") == "http://localhost:8080/wiki/"
    assert settings.url("own") == "https://own.example/wiki/"
    assert settings.protected == ("app", "own", "wiki")


def test_a_default_in_the_schema_is_written_as_in_the_file(file, right):
    properties = Settings.model_json_schema()["properties"]
    defaults = {
        name: schema["default"]
        for name, schema in properties.items()
        if schema.get("default") is not None
    }
    assert defaults["listen_mode"] == "0660"
    file.write_text(yaml.safe_dump(right))
    plain = load(file)
    file.write_text(yaml.safe_dump(defaults | right))
    assert load(file) == plain


def _with_defaults(schema, path=""):
    """Every schema within a schema that has a default, by its path."""
    if isinstance(schema, dict):
        if "default" in schema and path.rpartition(".")[2] != "properties":
            yield path, schema
        for key, inner in schema.items():
            yield from _with_defaults(inner, f"{path}.{key}")
    elif isinstance(schema, list):
        for index, inner in enumerate(schema):
            yield from _with_defaults(inner, f"{path}[{index}]")


def test_every_default_in_the_schema_is_valid_by_that_schema():
    document = Settings.model_json_schema()
    found = dict(_with_defaults(document))
    assert len(found) > 100
    for path, schema in found.items():
        validator = Draft202012Validator({**schema, "$defs": document["$defs"]})
        faults = [fault.message for fault in validator.iter_errors(schema["default"])]
        assert not faults, (path, faults)


def test_an_empty_ring_is_no_secret(fault):
    assert fault({"secret": []}).startswith(": secret is an empty list; it has one key or more")


PUBLISHED = "demo-only-demo-only-demo-only-demo-only"
PUBLIC = {"url": "https://app.example.com"}


@pytest.mark.parametrize("where", ["gateway", "application"])
@pytest.mark.parametrize("key", ["secret", "ring", "secret_file", "client", "client_file"])
def test_the_secrets_of_compose_yaml_are_for_loopback_alone(read, fault, tmp_path, key, where):
    (tmp_path / "published").write_text(f"{PUBLISHED}\n")
    change = {
        "secret": {"secret": PUBLISHED},
        "ring": {"secret": ["x" * 40, PUBLISHED]},
        "secret_file": {"secret": None, "secret_file": str(tmp_path / "published")},
        "client": {"providers": {"main": {"client_secret": PUBLISHED}}},
        "client_file": {
            "providers": {
                "main": {"client_secret": None, "client_secret_file": str(tmp_path / "published")}
            }
        },
    }[key]
    assert read(change).url("app") == "http://localhost:8080/"
    app = {"hosts": ["app.example.com"]}
    if where == "gateway":
        change = {**change, "gateway": PUBLIC, "applications": {"app": app}}
    else:
        change = {**change, "applications": {"app": {**app, "url": "https://app.example.com/"}}}
    line = fault(change)
    assert "is the one of compose.yaml, which everybody knows, and https://app.example.com" in line
    assert PUBLISHED not in line
    named = {"client": "client_secret", "client_file": "client_secret_file"}.get(key, "secret")
    assert f"{named} is the one" in line
