"""Reasons of tokens that fail a check."""

from extproc.core.reasons.tokens import ACCESS_TOKEN, ID_TOKEN, LOGOUT_TOKEN


def checks(rows, prefix):
    assert all(reason.code.startswith(prefix) for reason in rows)
    return {reason.code.removeprefix(prefix) for reason in rows}


def test_both_kinds_of_token_have_the_checks_of_every_signed_token():
    of_id_token = checks(ID_TOKEN, "id_token_")
    of_logout_token = checks(LOGOUT_TOKEN, "logout_token_")
    assert of_id_token - of_logout_token == {"at_hash", "auth_time"}
    assert of_logout_token - of_id_token == {
        "events",
        "jti",
        "sid",
        "replayed",
        "key_pending",
    }


def test_an_access_token_has_the_checks_of_every_signed_token_and_its_own():
    of_logout_token = checks(LOGOUT_TOKEN, "logout_token_")
    rows = [row for row in ACCESS_TOKEN if row.code != "too_many_introspections"]
    of_access_token = checks(rows, "bearer_token_")
    assert of_logout_token - of_access_token == {"events", "nonce", "jti", "sid", "replayed"}
    assert of_access_token - of_logout_token == {
        "id_token",
        "claims",
        "claims_age",
        "auth_time",
        "sender_constrained",
        "inactive",
        "opaque",
    }


def test_a_check_that_means_another_thing_for_a_logout_token_has_a_remedy_of_its_own():
    for check in ("nonce", "subject"):
        (one,) = (reason for reason in ID_TOKEN if reason.code == f"id_token_{check}")
        (other,) = (reason for reason in LOGOUT_TOKEN if reason.code == f"logout_token_{check}")
        assert one.remedy.partition(". ")[2] != other.remedy.partition(". ")[2]
