"""The marks of tests that run Ray over hosts of this machine."""

import pytest
from hosts import missing


def over_hosts(*programs: str) -> list[pytest.MarkDecorator]:
    """Return the marks; where hosts cannot be made, or a program lacks, the tests are skipped.

    Args:
        programs: see `hosts.missing`.
    """
    why_not = missing(*programs)
    skip = pytest.mark.skipif(why_not is not None, reason=why_not or "")
    return [pytest.mark.cluster, pytest.mark.ray, pytest.mark.slow, skip]
