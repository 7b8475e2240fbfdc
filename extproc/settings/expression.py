"""`expression` in an `allow`: compiling it, and what is wrong with it.

CEL is read by cel-expr-python, the compiler of its authors, when settings are read. It is not used
for requests (docs/decisions/018-cel-is-compiled-and-not-run-by-its-library.md).
"""

import re
from functools import lru_cache
from typing import Any

from google.protobuf.any_pb2 import Any as Packed

from extproc.core.expression import Expression
from extproc.core.oidc.id_token import about_user
from extproc.settings.expression_syntax import VARIABLE, Refused, parsed

__all__ = ["Refused", "check_expression", "compile_expression"]

MAX_CHARACTERS = 1000
# more than the settings of one process have
_KEPT = 1024
_OTHERWISE = {
    "acr": "write acr_values",
    "auth_time": "write max_age",
    "iss": "write providers",
}


@lru_cache(maxsize=_KEPT)
def compile_expression(text: str) -> Expression:
    """Compile an expression whose only variable is `claims`.

    Raises Refused if the text is no expression of CEL, if its result is neither true nor false, if
    it uses what is not accepted (expression_syntax.py), or if cel-expr-python is not installed.
    """
    if not text or len(text) > MAX_CHARACTERS:
        raise Refused(f"has {len(text)} characters; 1 to {MAX_CHARACTERS} are allowed")
    if not text.replace("\n", " ").isprintable():
        raise Refused("has a control character")
    environment = _environment()
    try:
        program = environment.compile(text)
    except RuntimeError as error:
        raise Refused(f"is no CEL about {VARIABLE}: {_fault(str(error))}") from None
    result = program.return_type().name()
    if result not in ("BOOL", "DYN"):
        raise Refused(f"gives {result.lower()}; write what gives true or false")
    root, claims = parsed(Packed.FromString(program.serialize()).value)
    if not claims:
        raise Refused("names no claim, so it would be the same for everybody")
    return Expression(text, claims, root)


@lru_cache(maxsize=1)
def _environment() -> Any:
    """The compiler, for expressions with one variable."""
    try:
        from cel_expr_python import cel
    except ImportError:
        raise Refused(
            "needs the package cel-expr-python: install extproc-oidc[expression]"
        ) from None
    return cel.NewEnv(variables={VARIABLE: cel.Type.Map(cel.Type.STRING, cel.Type.DYN)})


def _fault(text: str) -> str:
    """The first fault that the compiler names, with its place."""
    found = re.search(r"<input>:(-?\d+):(-?\d+): (.*)", text)
    if found is None:
        return text.partition("\n")[0][:200]
    place = "" if found[1] == "-1" else f" (line {found[1]}, column {found[2]})"
    return found[3][:200] + place


def check_expression(text: str) -> None:
    """Check an expression. Raises ValueError."""
    try:
        named = compile_expression(text).claims
    except Refused as refused:
        raise ValueError(f"expression: it {refused}") from None
    # What is said of a token or a login is kept apart from the claims, so it would never hold.
    for claim in sorted(named - about_user(dict.fromkeys(named)).keys()):
        raise ValueError(
            f"expression: claims.{claim} is not about the user; "
            f"{_OTHERWISE.get(claim, 'name other claims')}"
        )
    if "email" in named and "email_verified" not in named:
        raise ValueError(
            "expression: it names claims.email without claims.email_verified, so it would count "
            "addresses that users choose themselves; write emails or email_domains, or add "
            "claims.email_verified == true"
        )
