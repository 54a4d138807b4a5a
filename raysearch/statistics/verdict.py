"""Whether a published number was reproduced, from the interval of ours.

It is apart from the tables because it is a rule about numbers, with the words that stand for it.
"""

from enum import Enum

from .intervals import Interval

TOLERANCE = 0.01  # a fraction: differences below one point count as reproduced


class Verdict(Enum):
    """What an interval says about a published number.

    Attributes:
        REPRODUCED: the number lies in the interval, and a difference above the tolerance would have
            been seen.
        ABOVE: the interval lies above the number.
        BELOW: the interval lies below the number.
        CANNOT_TELL: the number lies in the interval, but so would a clearly different one.
    """

    REPRODUCED = "reproduced"
    ABOVE = "above"
    BELOW = "below"
    CANNOT_TELL = "cannot tell"


RULE = (
    "Verdicts: above or below if the 95 % interval excludes the published number; else reproduced"
    f" if a difference of {100 * TOLERANCE:.1f} points would be seen with 80 % power, and cannot"
    " tell if not. In brackets: the smallest difference that these seeds and examples see so; of a"
    " single seed the examples alone."
)


def verdict(ours: Interval, published: float) -> Verdict:
    """Return the verdict on a published number.

    Args:
        ours: the interval of our score.
        published: the number, a fraction. It counts as exact: nobody publishes its interval.
    """
    if ours.low > published:
        return Verdict.ABOVE
    if ours.high < published:
        return Verdict.BELOW
    return Verdict.REPRODUCED if ours.visible <= TOLERANCE else Verdict.CANNOT_TELL
