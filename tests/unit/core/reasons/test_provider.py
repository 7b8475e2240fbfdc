"""Reasons about the provider."""

from extproc.core.reasons import PROVIDER_ERRORS, Level
from extproc.core.reasons.provider import AWAY, ERRORS, FAULTS, REGISTERED

# RFC 6749 section 4.1.2.1; OpenID Connect Core section 3.1.2.6; Unmet Authentication Requirements
CODES = """
    invalid_request unauthorized_client access_denied unsupported_response_type invalid_scope
    server_error temporarily_unavailable
    interaction_required login_required account_selection_required consent_required
    invalid_request_uri invalid_request_object request_not_supported request_uri_not_supported
    registration_not_supported
    unmet_authentication_requirements
"""


def test_every_registered_error_of_a_provider_has_a_row_and_no_other_has():
    assert set(CODES.split()) == PROVIDER_ERRORS
    assert len(REGISTERED) == len(PROVIDER_ERRORS)
    assert [reason.code for reason in ERRORS if reason not in REGISTERED] == ["provider_error"]


def test_what_only_the_operator_can_mend_is_a_warning():
    for reason in (*ERRORS, *FAULTS, *AWAY):
        assert (reason.level is Level.WARNING) is ((reason.status or 0) >= 500), reason.code


def test_while_the_provider_is_away_clients_are_asked_to_come_again():
    assert all(reason.status == 503 and reason.retry_after for reason in AWAY)
