"""How loud a failure of a provider is in the log."""

from logging import DEBUG, WARNING

from extproc.core.errors import InvalidMetadata, ProviderUnavailable
from extproc.provider.reports import AGAIN, Reports


def test_a_fault_that_stays_is_one_warning_in_a_while():
    now = [1000.0]
    reports = Reports(lambda: now[0])
    assert [reports.level(InvalidMetadata("a")) for _ in range(3)] == [WARNING, DEBUG, DEBUG]
    assert reports.level(InvalidMetadata("b")) == WARNING
    assert reports.level(ProviderUnavailable("b")) == WARNING
    now[0] += AGAIN - 1
    assert reports.level(ProviderUnavailable("b")) == DEBUG
    now[0] += 1
    assert reports.level(ProviderUnavailable("b")) == WARNING
    reports.ready()
    assert reports.level(ProviderUnavailable("b")) == WARNING
