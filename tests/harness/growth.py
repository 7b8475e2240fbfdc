"""Whether work is linear in its input: linear work doubles with the input, quadratic does not."""

from dataclasses import dataclass

MOST = 2.5  # the most work for twice the input, as a ratio


@dataclass(frozen=True, slots=True)
class Growth:
    """Work for (almost) no input, for half of the largest input, and for all of it.

    unit: an amount of work that is too small to judge.
    """

    none: int
    half: int
    whole: int

    def faults(self, least: int) -> str:
        """Why the work is more than linear, or "" if it is linear.

        least: work beyond that for no input which does no harm, however it grows.
        """
        half, whole = self.half - self.none, self.whole - self.none
        if whole <= least or whole <= MOST * max(half, 0):
            return ""
        return (
            f"{whole:,} for the whole is {whole / max(half, 1):.2f} times the {half:,} for its half"
        )
