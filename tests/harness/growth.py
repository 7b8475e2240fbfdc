"""How work grows with what is read: linear work doubles with its input, and quadratic work does
not.
"""

from dataclasses import dataclass

MOST = 2.5  # times as much work for twice as much input


@dataclass(frozen=True, slots=True)
class Growth:
    """Work for (almost) nothing, for half of what may come, and for all of it. unit: what is too
    little to be looked at.
    """

    none: int
    half: int
    whole: int

    def faults(self, least: int) -> str:
        """Why this is more than linear; "" where it is not. least: less work than this, beyond that
        for nothing, is no harm.
        """
        half, whole = self.half - self.none, self.whole - self.none
        if whole <= least or whole <= MOST * max(half, 0):
            return ""
        return (
            f"{whole:,} for the whole is {whole / max(half, 1):.2f} times the {half:,} for its half"
        )
