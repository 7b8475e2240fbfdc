"""Settings of sessions."""

import pytest


@pytest.mark.parametrize(
    ("change", "explanation"),
    [
        ({"idle": "soon"}, ": session.idle: a duration is a number of seconds"),
        ({"idle": 0}, ": session.idle: input should be greater than 0"),
        ({"refresh": "always"}, ": session.refresh: "),
        ({"refresh_margin": "2h"}, ": session.refresh_margin: "),
        ({"logout": "everything"}, ": session.logout: "),
        ({"per_user": 0}, ": session.per_user: "),
    ],
)
def test_wrong_settings_of_sessions_are_explained_in_one_line(fault, change, explanation):
    assert explanation in fault({"session": change})
