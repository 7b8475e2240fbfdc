"""tests/bench [NAME...] [--json FILE]: runs rows, prints a table, writes JSON."""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.logins import counts
from benchmarks.measure import SCRIPT, Plan, Result
from benchmarks.rows import ROWS


def table(results: Sequence[Result]) -> str:
    lines = [
        f"{'row':10} {'subject':46} {'metric':6} {'median':>10}  "
        f"{'x reference (min / median / max)':>34} {'lost':>5}"
    ]
    for r in results:
        ratio = f"{r.ratio_min:.2f} / {r.ratio_median:.2f} / {r.ratio_max:.2f}"
        lines.append(
            f"{r.row:10} {r.subject:46} {r.metric:6} {r.median:>8.0f} {r.unit:<3} "
            f"{ratio:>32} {r.lost:>5}"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="tests/bench", description="What a request costs, beside its peers in the same run."
    )
    parser.add_argument(
        "rows", nargs="*", metavar="NAME", help=f"rows: {', '.join(ROWS)} (default: all)"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the results as a list of objects"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="of load for each subject in each round"
    )
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument(
        "--logins", type=int, default=100, help="whole logins in each round of the row login"
    )
    parser.add_argument(
        "--flood", type=int, default=100_000, help="anonymous navigations in the row flood"
    )
    for name, default, what in (
        ("held", "1000,10000", "logins held at once, in the row held"),
        ("stored", "10,10000,1000000", "sessions in the store, in the row growth"),
        ("applications", "1,500", "applications, in the row growth"),
    ):
        parser.add_argument(
            f"--{name}",
            type=counts,
            default=default,
            metavar="N,N",
            help=f"{what} (default: {default})",
        )
    parsed = parser.parse_args()
    unknown = [name for name in parsed.rows if name not in ROWS]
    if unknown:
        parser.error(f"there is no row {unknown[0]!r}; there are: {', '.join(ROWS)}")
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT)
        script.flush()
        plan = Plan(
            parsed.rounds,
            parsed.seconds,
            parsed.connections,
            script.name,
            lambda line: print(line, file=sys.stderr, flush=True),
            parsed.logins,
            parsed.held,
            parsed.flood,
            parsed.stored,
            parsed.applications,
        )
        results = [result for name in parsed.rows or ROWS for result in ROWS[name](plan)]
    print(table(results))
    if parsed.json is not None:
        parsed.json.write_text(json.dumps([asdict(result) for result in results], indent=2) + "\n")
    lost = sum(result.lost for result in results)
    if lost:
        print(f"tests/bench: {lost} answers were not what they should be", file=sys.stderr)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
