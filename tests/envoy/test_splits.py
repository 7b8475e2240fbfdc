"""One path, read one way: what a server behind Envoy may read otherwise than Envoy does leads to no
other application there.
"""

from collections.abc import Iterator

import pytest
from harness.disguises import JUNK, paths
from harness.envoy_parts import Asked
from harness.envoy_world import Gateway, World, application
from harness.foldings import readings
from harness.raw_http import H2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extproc.core.http import Request
from extproc.envoyconfig.snapshot import HttpListener, generated
from extproc.explain.route import choose

BATCH = settings(
    max_examples=12,
    deadline=None,
    database=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)


@pytest.fixture(scope="module")
def splits(world: World) -> Iterator[Gateway]:
    """Hosts with two applications each on one upstream, of which one asks more of a user than the
    other.
    """

    def two(
        host: str, prefix: str, outer: dict[str, object], inner: dict[str, object]
    ) -> dict[str, object]:
        url, name = world.upstream.url, host.partition(".")[0]
        return {
            name: application(url, host, url=f"http://{host}/", **outer),
            f"{name}-in": application(
                url, host, url=f"http://{host}{prefix}", path_prefix=prefix, **inner
            ),
        }

    kept: dict[str, object] = {"escaped_slashes": "keep"}
    open_: dict[str, object] = {"exclude": True}
    live: dict[str, object] = {"end_streams": ["websocket"], "public_paths": ["/public/"]}
    applications = {
        **two("step.test", "/payroll/", {}, {"acr_values": ["mfa"]}),
        **two("main.test", "/static/", live, {**open_, **kept}),
        **two("open.test", "/payroll/", {**open_, **kept}, {}),
        **two("deep.test", "/hr/sk.i/", {**open_, **kept}, {}),
        **two("public.test", "/public/in/", {"public_paths": ["/public/"]}, {}),
        **two("keep.test", "/payroll/", {**live, "dot_segments": "keep"}, {"max_age": "5m"}),
        **two("exact.test", "/payroll/", {**open_, "upstream_paths": "exact"}, {}),
        **two("same.test", "/wiki/", {}, {}),
        "all": application(world.upstream.url, "*", path_prefix="/every/", exclude=True),
        "all-in": application(world.upstream.url, "*", path_prefix="/every/one/"),
    }
    with world.gateway("splits", applications) as made:
        yield made


def signed_in(gateway: Gateway, name: str) -> str:
    return gateway.cookie(name)


PAYROLL = [
    "/PAYROLL/x",
    "/payroll;a=b/x",
    "/payroll%3b/x",
    "/payroll%2e/x",
    "/payroll%20/x",
    "/%2570ayroll/x",
    "/a/%2e%2e;/payroll/x",
]
MORE_PAYROLL = [
    "/payroll%c0%80/x",
    "/payroll%c0%20/x",
    "/pay%c0%80roll/x",
    "/payroll%c0%a0/x",
    "/payroll%ef%bc%9fx",
    "/payroll%ef%bc%9a%ef%bc%9a/x",
    "/payroll%c0%ba%c0%ba/x",
    "/+payroll/x",
    "/payroll+/x",
    "/PayRoll",
    "/payroll;/",
    "/payroll.",
    "/payroll./x",
    "/payroll%2E%20./x",
    "/payroll%09/x",
    "/%2500payroll/x",
    "/pay%250Aroll/x",
    "/payroll%2520;%253b/x",
    "/payroll%253bx/x",
    "/payroll%3Fx",
    "/payroll%23/x",
    "/payroll%2500.css",
    "/payroll::$INDEX_ALLOCATION/x",
    "/%252570%252561yroll/x",
    "/%25%2537%2530ayroll/x",
    "/%u0070ayroll/x",
    "/%c1%b0ayroll/x",
    "/%ef%bd%90ayroll/x",
    "/;/payroll/x",
    "/;a=b/payroll/x",
    "/%20/payroll/x",
    "/%252fpayroll/x",
    "/%252f%252f/PAYROLL/x",
    "/payroll%252fx",
    "/payroll%255cx",
    "/PAYROLL;a/%252e%252e/x",
    "/.%3b/payroll/x",
]
STATIC = [
    "/static/%2e%2e;/private",
    "/static/a/%2e%2e;/%2e%2e;/private",
    "/static/..%3b/private",
    "/static/%252e%252e/private",
]
MORE_STATIC = [
    "/static/..%c0%80/private",
    "/static/..%c0%20/private",
    "/static/..%c0%00/private",
    "/static/..%c1%3f/private",
    "/static/..%c0%3a%c0%3a/private",
    "/static/..%c0%bf/private",
    "/static/..%c0%a3/private",
    "/static/..%c0%a0/private",
    "/static/..%ef%bc%9fx/private",
    "/static/..+/private",
    "/static/+../private",
    "/static/..%2b/private",
    "/static/.%2e;x=y/private",
    "/static/%2E%2E%3Bx/private",
    "/static/%2e%2e;",
    "/static/..%3f/private",
    "/static/..%253b/private",
    "/static/%25252e%25252e/private",
    "/static/.%252e/private",
    "/static/..%252fprivate",
    "/static/..%255cprivate",
    "/static/x%252f..%252f..%252fprivate",
    "/static/..%2fprivate",
    "/static/%2f..%5c../private",
    "/static/..%20/private",
    "/static/%20../private",
    "/static/.%09./private",
    "/static/..%2500/private",
    "/static/%2500../private",
    "/static/..%c2%a0/private",
    "/static/%c0%ae%c0%ae/private",
    "/static/%25c0%25ae%c0%ae/private",
    "/static/%e0%80%ae%e0%80%ae/private",
    "/static/%f8%80%80%80%ae./private",
    "/static/..%c0%afprivate",
    "/static/..%c1%9cprivate",
    "/static/..%u2215private",
    "/static/%u002e%u002e/private",
    "/static/%ef%bc%8e%ef%bc%8e/private",
    "/static/%e2%80%a5/private",
    "/static/%25%32%65%25%32%65/private",
    "/static/%25%2532%2565./private",
    "/static/\\..;\\private",
]
HONEST = [
    "/a/.../b",
    "/v1..2/x",
    "/.well-known/x",
    "/a/.hidden",
    "/x/..hidden",
    "/x../y..",
    "/file%20name",
    "/a;v=1/b",
    "/a%3Bb",
    "/a?x=/../b&y=..;/",
    "/a?/payroll/PAYROLL",
    "/100%25/a%20b",
    "/job/a%252Fb/1",
    "/%C3%A4%E6%97%A5/%F0%9F%98%80",
    "/payrolls/x",
    "/my/payroll/x",
    "/my/PAYROLL;x",
    "/payroll-2",
    "/payroll.json",
    "/payroll:batch",
    "/pay/roll",
    "/xpayroll",
    "/search/%20",
]


@pytest.mark.attack("PATH-06")
@pytest.mark.threat("one-path")
@pytest.mark.parametrize("path", PAYROLL + MORE_PAYROLL)
def test_no_spelling_goes_around_another_applications_step_up(
    splits: Gateway, world: World, asked: list[Asked], path: str
) -> None:
    for name in ("step", "open"):
        reply = splits.client.get(path, host=f"{name}.test", cookie=signed_in(splits, name))
        assert (reply.status, world.upstream.received, asked) == (400, [], []), name


@pytest.mark.attack("PATH-06")
def test_the_plain_spelling_meets_the_step_up(
    splits: Gateway, world: World, asked: list[Asked]
) -> None:
    for path in (
        "/payroll/x",
        "//payroll//x",
        "/%70ayroll/x",
        "/a/../payroll/x",
        "/./payroll/%2e%2e/payroll/x",
    ):
        asked.clear()
        reply = splits.client.get(path, host="step.test", cookie=signed_in(splits, "step"))
        assert reply.status == 303 and [each.application for each in asked] == ["step-in"], path
    assert splits.client.get("/payroll", host="step.test").status == 301
    assert world.upstream.received == []


@pytest.mark.attack("PATH-01")
@pytest.mark.threat("one-path")
@pytest.mark.parametrize("path", STATIC + MORE_STATIC)
def test_no_dot_segment_in_disguise_leaves_an_open_application(
    splits: Gateway, world: World, asked: list[Asked], path: str
) -> None:
    assert splits.client.get(path, host="main.test").status == 400
    assert (world.upstream.received, asked) == ([], [])


@pytest.mark.attack("PATH-01")
@pytest.mark.threat("one-path")
@pytest.mark.parametrize("route", ["protected", "public", "excluded", "live"])
@pytest.mark.parametrize("dots", ["%2e%2e;", "%252e%252e", "..%20", "..%3b", "%2e;a"])
def test_disguised_dot_segments_are_refused_on_every_route(
    splits: Gateway, world: World, asked: list[Asked], route: str, dots: str
) -> None:
    prefix = {"public": "/public", "excluded": "/static"}.get(route, "")
    lines = ("Upgrade: websocket", "Connection: Upgrade") if route == "live" else ()
    for path in (f"{prefix}/{dots}/private", f"{prefix}/a/{dots}", f"{prefix}/{dots}/"):
        reply = splits.client.get(path, *lines, host="main.test", cookie=signed_in(splits, "main"))
        assert (reply.status, reply.get("content-type")) == (400, "application/problem+json"), path
    assert (world.upstream.received, asked) == ([], [])


@pytest.mark.parametrize("path", HONEST)
def test_honest_paths_go_on_as_they_are(
    splits: Gateway, world: World, asked: list[Asked], path: str
) -> None:
    for name in ("step", "open", "main"):
        assert (
            splits.client.get(path, host=f"{name}.test", cookie=signed_in(splits, name)).status
            == 200
        ), name
    assert [each.target for each in world.upstream.received] == [path] * 3
    assert asked == []


@pytest.mark.attack("PATH-06")
def test_a_public_path_around_another_application_is_such_a_split(
    splits: Gateway, world: World, asked: list[Asked]
) -> None:
    assert splits.client.get("/public/IN/x", host="public.test").status == 400
    assert splits.client.get("/public/in;/x", host="public.test").status == 400
    assert splits.client.get("/public/x/in", host="public.test").status == 200
    assert [each.target for each in world.upstream.received] == ["/public/x/in"]


@pytest.mark.attack("PATH-06")
def test_what_is_on_every_host_is_split_there_too(
    splits: Gateway, world: World, asked: list[Asked]
) -> None:
    for host in ("step.test", "unheard-of.test"):
        assert splits.client.get("/every/ONE/x", host=host).status == 400
        assert splits.client.get("/every/one%252e/x", host=host).status == 400
        assert splits.client.get("/every/two", host=host).status == 200
    assert len(world.upstream.received) == 2


@pytest.mark.attack("PATH-01")
def test_kept_dot_segments_are_never_public_and_never_spelled_in_pieces(
    splits: Gateway, world: World, asked: list[Asked]
) -> None:
    for path in (
        "/public/%2e%2e;/x",
        "/public/..%20/x",
        "/public/..%C2%A0/x",
        "/public/%252e%252e/x",
    ):
        assert splits.client.get(path, host="keep.test").status == 303, path
        assert (
            splits.client.get(path, host="keep.test", cookie=signed_in(splits, "keep")).status
            == 200
        ), path
    assert splits.client.get("/public/.hidden/a.%20b", host="keep.test").status == 200
    for path in ("/%25%2532%2565./x", "/PAYROLL/x", "/%2e;/payroll/x"):
        assert (
            splits.client.get(path, host="keep.test", cookie=signed_in(splits, "keep")).status
            == 400
        ), path
    assert splits.client.get("/payroll/%2e%2e;/x", host="keep.test").status == 400


@pytest.mark.attack("PATH-06")
def test_an_upstream_that_does_not_fold_gets_every_path(
    splits: Gateway, world: World, asked: list[Asked]
) -> None:
    for path in ("/PAYROLL/x", "/payroll;a=b/x", "/payroll%20/x"):
        assert splits.client.get(path, host="exact.test").status == 200, path
    assert splits.client.get("/%2e%2e;/x", host="exact.test").status == 400
    assert splits.client.get("/WIKI/x", host="same.test").status == 303, "they ask the same"


@pytest.mark.attack("PATH-06")
def test_our_endpoints_spelled_otherwise_are_paths_of_the_application(
    splits: Gateway, world: World, asked: list[Asked]
) -> None:
    """A provider sends codes to the one address that is registered; nothing is decided by these."""
    for path in (
        "/OAUTH2/callback",
        "/oauth2;x/callback",
        "/oauth2%2520/callback",
        "/oauth2%253b/callback",
    ):
        assert splits.client.get(path, host="same.test").status == 303, path
        assert not asked[-1].path.startswith("/oauth2/")
    for path in ("/oauth2/%2e%2e;/x", "/oauth2/..%3b/x", "/oauth2/%252e%252e/x"):
        assert splits.client.get(
            path, host="same.test", cookie=signed_in(splits, "same")
        ).status in (303, 404), path
        assert asked[-1].path.startswith("/oauth2/")
    assert world.upstream.received == []


@pytest.mark.attack("PATH-01", "PATH-06")
def test_http_2_is_read_alike(splits: Gateway, world: World, asked: list[Asked]) -> None:
    def ask(path: str, host: str) -> str | None:
        head = [(":method", "GET"), (":scheme", "http"), (":authority", host), (":path", path)]
        with H2(splits.client.port) as client:
            answer = client.ask(head)
        return answer[":status"] if answer else None

    for path in PAYROLL:
        assert ask(path, "open.test") == "400", path
    for path in STATIC:
        assert ask(path, "main.test") == "400", path
    for path in ("/pay\troll/x", "/payroll /x", "/static/..\t/x", "/static/.. /x"):
        assert ask(path, "open.test") in (None, "400"), path
    assert world.upstream.received == []
    assert ask("/honest", "open.test") == "200"


def passed(splits: Gateway, world: World, host: str, sent: list[str]) -> list[str]:
    """What reaches the upstream of these paths, for somebody who is not signed in."""
    world.upstream.received.clear()
    for path in sent:
        splits.client.get(path, host=host)
    return [each.target.partition("?")[0] for each in world.upstream.received]


def explained(front: HttpListener, host: str, path: str) -> tuple[int, str] | None:
    chosen = choose(front, Request("", False, "GET", path, host, ()))
    assert chosen is not None
    return chosen.answer


@pytest.mark.attack("PATH-06")
@pytest.mark.threat("one-path")
def test_no_server_reads_what_passes_as_a_path_of_the_inner_application(
    splits: Gateway, world: World
) -> None:
    front = generated(splits.settings).listeners[0]

    @BATCH
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        host, names = data.draw(
            st.sampled_from([("open.test", ("payroll",)), ("deep.test", ("hr", "sk.i"))])
        )
        spelled = st.one_of(paths(*names), paths(*names), paths(*names, "x"), JUNK)
        for target in passed(
            splits, world, host, data.draw(st.lists(spelled, min_size=15, max_size=25))
        ):
            for model, read in readings(target):
                assert read[: len(names)] != names, f"{model} reads {target} as {'/'.join(read)}"
            assert explained(front, host, target) is None, target

    holds()


@pytest.mark.attack("PATH-01")
@pytest.mark.threat("one-path")
def test_no_server_reads_what_passes_as_a_path_outside_of_the_open_application(
    splits: Gateway, world: World
) -> None:
    below = st.one_of(
        paths("private", below="static/"),
        paths("private", below="static/"),
        JUNK.map("/static{}".format),
    )

    @BATCH
    @given(st.lists(below, min_size=15, max_size=25))
    def holds(sent: list[str]) -> None:
        for target in passed(splits, world, "main.test", sent):
            for model, read in readings(target):
                assert read[:1] == ("static",), f"{model} reads {target} as {'/'.join(read)}"

    holds()
