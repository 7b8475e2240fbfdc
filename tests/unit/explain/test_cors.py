"""What a page of another origin gets, in words."""

import pytest

from extproc.core.http import Request
from extproc.explain.cors import allows, is_preflight, of_answers, of_preflight

PORTAL, EVIL = "https://portal.test", "https://evil.test"
POLICY = {"allow_origin_string_match": [{"exact": PORTAL}], "allow_methods": "GET, PUT"}


def request(method: str = "OPTIONS", **headers: str) -> Request:
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Request("app", False, method, "/", "localhost", named)


@pytest.mark.parametrize(
    ("asked", "preflight"),
    [
        (request(origin=PORTAL, access_control_request_method="PUT"), True),
        (request("PUT", origin=PORTAL, access_control_request_method="PUT"), False),
        (request(origin=PORTAL), False),
        (request(access_control_request_method="PUT"), False),
    ],
)
def test_a_preflight_is_known_by_its_method_and_headers(asked: Request, preflight: bool) -> None:
    assert is_preflight(asked) == preflight


def test_a_policy_lists_exact_origins_or_all() -> None:
    assert allows(POLICY, PORTAL) and not allows(POLICY, EVIL) and not allows({}, EVIL)
    assert allows({"allow_origin_string_match": [{"exact": "*"}]}, EVIL)


def test_answers_are_readable_for_listed_origins() -> None:
    assert (
        of_answers(POLICY, EVIL) == f"cors does not list {EVIL}: its pages cannot read the answer"
    )
    assert of_answers(POLICY, PORTAL).endswith("its pages may read the answer")
    as_user = {**POLICY, "allow_credentials": True}
    assert of_answers(as_user, PORTAL).endswith("may read the answer, and act as the user")


@pytest.mark.parametrize(
    ("method", "remedy"),
    [
        ("PUT", ""),
        ("POST", ""),
        ("DELETE", "the browser refuses DELETE; list it in applications.app.cors.methods"),
    ],
)
def test_a_method_that_the_browser_refuses_has_a_remedy(method: str, remedy: str) -> None:
    asked = request(origin=PORTAL, access_control_request_method=method)
    what, todo = of_preflight(POLICY, asked, "app")
    assert what.startswith(
        f"Envoy itself answers the preflight 200: pages of {PORTAL} may use GET,"
    )
    assert todo == remedy
    assert what.endswith("none beside those that every page may set")
    named = {**POLICY, "allow_headers": "content-type"}
    assert of_preflight(named, asked, "app")[0].endswith("headers: content-type")
