"""The machine by hand, for hours; see tests/stateful/run.

--examples N runs the same N examples each time. Otherwise it runs new ones for --minutes.
"""

import argparse
import sys

from stateful.machine import RULES
from stateful.running import explore, for_minutes
from stateful.world import STORES, World


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests/stateful/run", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--store", choices=tuple(STORES), action="append")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--examples", type=int)
    parser.add_argument("--shrink", action="store_true")
    parser.add_argument(
        "--rules",
        type=lambda text: text.split(","),
        default=[],
        help=f"some of: {', '.join(RULES)}",
    )
    arguments = parser.parse_args()
    stores = arguments.store or list(STORES)
    if arguments.examples is None:
        return for_minutes(arguments.minutes, stores, arguments.seed, arguments.rules)
    for store in stores:
        with World(store) as world:
            outcome = explore(
                world,
                examples=arguments.examples,
                rules=arguments.rules,
                seed=arguments.seed,
                shrink=arguments.shrink,
            )
        print(f"{store}: {outcome}", flush=True)
        if outcome.violation is not None:
            return 1
    return 0


sys.exit(main())
