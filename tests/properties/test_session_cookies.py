"""Sessions in cookies: whatever is kept comes back whole, and after any change nothing does."""

from dataclasses import replace

import pytest
from harness.tokens import ENTROPY_BYTES, NOW, application, request, session
from hypothesis import given
from hypothesis import strategies as st

from extproc.core.session_cookie import CHUNK, read_session, session_cookies

APP = application()
NAME, DATA = "__Host-extproc-session-app", f"__Host-extproc-data-app.{session().id.handle}.0."


def cookies(kept):
    return session_cookies(APP, request(), kept, NOW, ENTROPY_BYTES)


def read(*made):
    return read_session(
        APP, request(cookie="; ".join(f"{cookie.name}={cookie.value}" for cookie in made))
    )


@given(st.integers(0, 13_500), st.integers(0, 2**40), st.text(max_size=50))
def test_what_is_kept_comes_back_whole_in_as_few_cookies_as_it_takes(noise, touched, subject):
    kept = session(noise, touched=touched, subject=subject, sid="s")
    made = cookies(kept)
    assert read(*made) == kept == read(*reversed(made))
    assert all(
        len(cookie.value) <= CHUNK and cookie.max_age == 43_200 and cookie.secure for cookie in made
    )
    assert [cookie.name for cookie in made] == [
        NAME,
        *(f"{DATA}{piece}" for piece in range(len(made) - 1)),
    ]
    assert all(len(cookie.value) >= CHUNK - 2 for cookie in made[1:-1])


@pytest.mark.attack("COOK-03")
@given(st.data())
def test_and_06_any_change_opens_nothing(data):
    made = list(cookies(session(data.draw(st.sampled_from([0, 5000])))))
    which = data.draw(st.integers(0, len(made) - 1))
    value = made[which].value
    at = data.draw(st.integers(0, len(value) - 1))
    character = data.draw(st.characters(codec="latin-1", exclude_characters=value[at]))
    made[which] = replace(made[which], value=value[:at] + character + value[at + 1 :])
    assert read(*made) is None


@given(st.integers(0, 2**40))
def test_sealing_a_session_again_never_takes_more_room(touched):
    kept = session(3000)
    assert [len(c.value) for c in cookies(replace(kept, touched=touched))] == [
        len(c.value) for c in cookies(kept)
    ]
