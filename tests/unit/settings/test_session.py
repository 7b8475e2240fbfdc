"""Settings of sessions."""

import pytest


@pytest.mark.parametrize(
    ("change", "explanation"),
    [
        ({"idle": "soon"}, ": session.idle: a duration is a number of seconds"),
        ({"idle": 0.4}, ": session.idle: input should be greater than or equal to 1"),
        ({"refresh": "always"}, ": session.refresh: "),
        ({"refresh_margin": "2h"}, ": session.refresh_margin: "),
        ({"logout": "everything"}, ": session.logout: "),
        ({"per_user": 0}, ": session.per_user: "),
    ],
)
def test_wrong_settings_of_sessions_are_explained_in_one_line(fault, change, explanation):
    assert explanation in fault({"session": change})


def test_an_application_may_have_sessions_of_its_own(read):
    wiki = {"hosts": ["localhost"], "path_prefix": "/wiki/", "upstream": "http://127.0.0.1:1"}
    own = {"session": {"lifetime": "30d", "idle": "7d", "logout": "local"}}
    settings = read(
        {
            "session": {"lifetime": "8h", "logout": "application"},
            "applications": {"wiki": {**wiki, **own, "provider": "main"}},
        }
    )
    app, wiki = settings.session_at("app"), settings.session_at("wiki")
    assert (app.lifetime, app.idle, app.logout) == (28_800, 3600, "application")
    assert (wiki.lifetime, wiki.idle, wiki.logout) == (2_592_000, 604_800, "local")
    assert wiki.refresh_margin == app.refresh_margin
    assert settings.longest_session == 2_592_000


@pytest.mark.parametrize(
    ("own", "explanation"),
    [
        ({"lifetime": 0.4}, "app.session.lifetime: input should be greater than or equal to 1"),
        ({"logout": "everywhere"}, "app.session.logout: "),
        ({"per_user": 1}, "app.session.per_user: there is no such key"),
    ],
)
def test_wrong_sessions_of_an_application_are_explained(fault, own, explanation):
    assert explanation in fault({"applications": {"app": {"session": own}}})


def test_an_excluded_application_has_no_sessions(fault):
    plain = {"hosts": ["plain"], "upstream": "http://127.0.0.1:1", "exclude": True}
    change = {"applications": {"plain": {**plain, "session": {"idle": 60}}}}
    assert "exclude: true has no sessions, so none of session" in fault(change)
