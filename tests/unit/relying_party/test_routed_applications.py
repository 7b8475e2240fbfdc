"""The application of a request: Envoy's route and the settings have to agree."""

from dataclasses import replace

import pytest
from harness.tokens import application, request

from extproc.core.access import Access
from extproc.core.errors import AccessDiffers, Misdirected
from extproc.relying_party.routed_applications import RoutedApplications

APP = application(access=Access("app", (), (), "d1"), fingerprint="f1")
ASKED = replace(request(), access="d1", fingerprint="f1")


def test_a_route_of_the_same_settings_leads_to_its_application():
    routed = RoutedApplications({"app": APP})
    assert routed.application(ASKED) is APP
    assert routed.application(replace(ASKED, fingerprint="")) is APP


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"application": "other"}, Misdirected),
        ({"fingerprint": "f2"}, Misdirected),
        ({"access": "d2"}, AccessDiffers),
        ({"access": ""}, AccessDiffers),
    ],
)
def test_a_route_of_other_settings_is_refused_and_logged_once(changes, error, capsys):
    routed = RoutedApplications({"app": APP})
    for _ in range(3):
        with pytest.raises(error):
            routed.application(replace(ASKED, **changes))


def test_a_client_of_many_names_fills_no_memory():
    routed = RoutedApplications({})
    for number in range(200):
        with pytest.raises(Misdirected):
            routed.application(replace(ASKED, application=f"a{number}"))
    assert len(routed._differing) == 100
