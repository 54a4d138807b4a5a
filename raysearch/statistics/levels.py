"""The levels at which intervals are drawn and differences count as seen.

They are apart because a study's plan is judged by them without numpy, which intervals need.
"""

LEVEL = 0.95
SIGHT = 2.8  # standard errors that a difference needs to be seen with 80 % power at 95 %
