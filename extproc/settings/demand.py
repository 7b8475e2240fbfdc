"""Rules of what an application demands of a login; it becomes part of a URL and of a header."""

import re
from collections.abc import Sequence

from extproc.core.step_up import OURS, PROMPTS


def check_acr_values(values: Sequence[str]) -> None:
    """Check acr values (OpenID Connect Core section 2). Raises ValueError."""
    for value in values:
        if not re.fullmatch(r"[!#-\[\]-~]{1,255}", value):
            raise ValueError(
                f"acr_values: {value[:80]!r} is not an acr value: printable ASCII without "
                "blanks, quotes and backslashes"
            )


def check_max_age(seconds: float) -> None:
    """Check the maximum time since the user signed in. Raises ValueError."""
    if seconds < 60 or seconds != int(seconds):
        raise ValueError(
            "max_age is whole seconds, 1m or more; to have users sign in again at each "
            "login set prompt: login"
        )


def check_prompt(prompt: str) -> None:
    """Check the values of `prompt` (OpenID Connect Core section 3.1.2.1). Raises ValueError."""
    values = prompt.split(" ")
    if "none" in values:
        raise ValueError(
            "prompt: none lets the provider ask nothing, so no user could sign in; leave it out, "
            f"or choose among {', '.join(PROMPTS)}"
        )
    if not set(values) <= set(PROMPTS) or len(set(values)) != len(values):
        raise ValueError(
            f"prompt: {prompt[:80]!r} is not one or several, with one blank between them, "
            f"of {', '.join(PROMPTS)}"
        )


def check_parameter(name: str, value: str) -> None:
    """Check a further parameter of the authorization request. Raises ValueError."""
    if name.lower() in OURS:
        has_key = name in ("acr_values", "max_age", "prompt")
        raise ValueError(
            f"authorization_params: {name} is set by the processor"
            f"{' (it has a key of its own)' if has_key else ''}"
        )
    if not re.fullmatch(r"[A-Za-z0-9._:-]{1,64}", name):
        raise ValueError(
            f"authorization_params: {name[:80]!r} is not the name of a parameter: "
            "letters, digits and . _ : -"
        )
    if not 0 < len(value) <= 2000 or not value.isprintable():
        raise ValueError(f"authorization_params.{name} is printable text of 1 to 2000 characters")
