"""Settings of cross-origin resource sharing (CORS): which pages of other origins may read an
application's answers.
"""

import re
from typing import Self

from pydantic import Field, model_validator

from extproc.settings.types import AnyOrigin, Duration, Model

# Fetch standard section 2.2.1: pages can send none of them.
_FORBIDDEN = {"CONNECT", "TRACE", "TRACK"}
_LONGEST = 86_400  # seconds; no browser keeps the answer of a preflight for longer


class Cors(Model):
    """Pages of other origins that may read an application's answers, and what they may send.

    Envoy answers their preflights itself, and the application's own CORS headers are removed.
    """

    origins: tuple[AnyOrigin, ...] = Field(
        min_length=1,
        description="origins of these pages, such as https://portal.example.com; without "
        'credentials also "*", for every origin, and "null", for pages that have none',
    )
    methods: tuple[str, ...] = Field(
        ("GET", "HEAD", "POST"),
        min_length=1,
        description="methods that these pages may use; they can use GET, HEAD and POST anyway, "
        "unless csrf: same_origin refuses a POST",
    )
    headers: tuple[str, ...] = Field(
        (),
        description="request headers that these pages may set beside those that every page may, "
        "such as content-type (for JSON) or authorization",
    )
    expose: tuple[str, ...] = Field(
        (),
        description="response headers that these pages may read beside those that every page may, "
        "such as www-authenticate",
    )
    credentials: bool = Field(
        False,
        description="whether these pages may act as the user, by the cookies of the user's "
        "session. Only pages of the same site can: browsers send SameSite=Lax cookies with no "
        "request of another site's",
    )
    max_age: Duration = Field(
        600,
        description="how long a browser may keep the answer of a preflight, in whole seconds, "
        "1d or less",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_origins()
        for method in self.methods:
            if not re.fullmatch(r"[A-Z][A-Z-]{0,31}", method) or method in _FORBIDDEN:
                raise ValueError(
                    f"methods: {method[:80]!r} is not a method in upper case that pages can send, "
                    "such as PUT"
                )
        for key, names in (("headers", self.headers), ("expose", self.expose)):
            for name in names:
                if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,127}", name):
                    raise ValueError(
                        f"{key}: {name[:80]!r} is not the name of a header, such as content-type"
                    )
        if self.max_age > _LONGEST or self.max_age != int(self.max_age):
            raise ValueError("max_age is whole seconds, 1d or less")
        return self

    def _check_origins(self) -> None:
        if "*" in self.origins and len(self.origins) > 1:
            raise ValueError('origins: "*" is every origin; leave out the others, or "*"')
        if self.credentials and ("*" in self.origins or "null" in self.origins):
            raise ValueError(
                'origins: "*" and "null" go with no credentials: every page, or every page that '
                "hides its origin, could read what the user may read; list the origins"
            )
