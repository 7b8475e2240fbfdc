"""Settings of the identity that applications receive."""

import pytest


@pytest.mark.parametrize(
    ("change", "explanation"),
    [
        ({"header_prefix": "auth-"}, ": identity.header_prefix: "),
        ({"headers": {"x-auth-sub": "email"}}, "headers must have x-auth-sub: sub"),
        (
            {"headers": {"x-auth-sub": "sub", "X-Auth-Mail": "email"}},
            "is not a lower-case header name",
        ),
        ({"headers": {"x-auth-sub": "sub", "x-mail": "email"}}, "begins with header_prefix"),
        ({"headers": {"x-auth-mail": ""}}, "headers.x-auth-mail: the claim's name is missing"),
        ({"assertion_lifetime": 2}, "assertion_lifetime is 0, or 8 s to 1 h"),
        ({"assertion_lifetime": 3601}, "assertion_lifetime is 0, or 8 s to 1 h"),
        ({"max_header_bytes": 100}, ": identity.max_header_bytes: "),
        ({"max_header_bytes": 20_000}, ": identity.max_header_bytes: "),
        ({"keys_refresh": 0}, "keys_refresh is 1 s to 1 h"),
    ],
)
@pytest.mark.attack("HDR-16")
def test_a_wrong_identity_is_explained_in_one_line(fault, change, explanation):
    assert explanation in fault({"identity": change})


def test_the_subject_s_header_follows_the_prefix(read):
    settings = read({"identity": {"header_prefix": "x-user-", "headers": {"x-user-sub": "sub"}}})
    assert settings.identity.subject_header == "x-user-sub"
