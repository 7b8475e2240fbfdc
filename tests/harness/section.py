"""Settings of one application, and what is wrong with them in the operator's words."""

from typing import Any

import pytest
from pydantic import ValidationError

from extproc.settings import Settings
from extproc.settings.faults import explain
from harness.envoy_config import APP, simple


def made(**changes: Any) -> Settings:
    """The application app, with these keys."""
    return simple(applications={"app": {**APP, **changes}})


def faults(**changes: Any) -> list[str]:
    """What is wrong with the application app with these keys."""
    with pytest.raises(ValidationError) as caught:
        made(**changes)
    return [str(fault) for fault in explain(caught.value)]
