"""The settings alone."""

from harness.envoy_config import APP, simple

from extproc.checks.settings import check_settings, registration


def test_settings_that_are_right_have_no_error_and_show_their_keys() -> None:
    found = list(check_settings(simple()))
    assert {each.level for each in found} <= {"ok", "warning"}
    assert found[0].what == "1 application, 1 provider"
    assert found[1].part == "secret" and found[1].what.endswith("seals and signs")


def test_a_rotating_ring_names_the_keys_that_only_open() -> None:
    ring = ["a" * 40, "b" * 40]
    (secret,) = (each for each in check_settings(simple(secret=ring)) if each.part == "secret")
    assert secret.what.endswith("can only open") and "a" * 40 not in secret.what


def test_several_workers_are_shown_with_their_addresses() -> None:
    (workers,) = (each for each in check_settings(simple(workers=2)) if each.part == "workers")
    assert workers.what == "2 workers, at 127.0.0.1:9500, 127.0.0.1:9501"


def test_what_to_register_is_below_each_application_s_prefix() -> None:
    wiki = {**APP, "path_prefix": "/wiki/"}
    lines = [line.split() for line in registration(simple(applications={"wiki": wiki}))]
    base = "http://localhost:8080/wiki/oauth2"
    assert lines[1:] == [
        ["redirect_uri", f"{base}/callback"],
        ["post_logout_redirect_uri", f"{base}/signed-out"],
        ["backchannel_logout_uri", f"{base}/backchannel-logout", "(one", "is", "enough)"],
    ]


def test_each_provider_gets_one_address_of_each_channel() -> None:
    """Who registers what is printed must not get each logout twice, and a client has one of each
    (Front-Channel Logout 1.0 section 2).
    """
    apps = {
        "app": APP,
        "wiki": {**APP, "path_prefix": "/wiki/"},
        "chat": {**APP, "path_prefix": "/chat/", "provider": "other"},
        "mail": {**APP, "path_prefix": "/mail/", "provider": "other"},
    }
    client = {"client_id": "x", "client_secret": "s"}
    providers = {
        "main": {**client, "issuer": "https://main.example"},
        "other": {
            **client,
            "issuer": "https://other.example",
            "backchannel_logout": False,
            "frontchannel_logout": "sid",
        },
    }
    lines = list(registration(simple(applications=apps, providers=providers)))
    back = [line for line in lines if "backchannel_logout_uri" in line]
    front = [line for line in lines if "frontchannel_logout_uri" in line]
    assert len(back) == 1 and back[0].endswith("(one is enough)")
    assert len(front) == 1 and "/chat/oauth2/frontchannel-logout  (one is enough)" in front[0]
    bare = registration(simple(applications=apps, providers=providers), notes=False)
    assert [line.split("  (")[0] for line in lines] == list(bare)


def test_a_front_channel_that_ends_one_application_s_sessions_is_not_called_enough() -> None:
    client = {"client_id": "x", "client_secret": "s", "issuer": "https://main.example"}
    for mode, store in (("browser", {"kind": "sqlite"}), ("sid", {"kind": "cookie"})):
        main = {**client, "backchannel_logout": False, "frontchannel_logout": mode}
        made = simple(providers={"main": main}, store=store)
        (front,) = (line for line in registration(made) if "frontchannel_logout_uri" in line)
        assert front.endswith("(a client has one; it ends this application's alone)"), mode
