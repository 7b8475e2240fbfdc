"""Source text as a syntax tree, for tests that read the project's own files."""

import ast
import gc


def parsed(source: str) -> ast.Module:
    """Call ast.parse without garbage collection in between.

    A finalizer may let another thread run, and a server's thread that prints a traceback parses as
    well (for its carets). CPython 3.11 has one counter for the depth of all parses of a process,
    and raises SystemError: AST constructor recursion depth mismatch.
    """
    before = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(source)
    finally:
        if before:
            gc.enable()
