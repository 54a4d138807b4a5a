"""The verification of a run or a pack: hashes, numbers, and its winners trained again.

It is apart from the search because it runs studies and compares what comes out.
"""

from .checks import Check, Verification
from .verification import verify

__all__ = ["Check", "Verification", "verify"]
