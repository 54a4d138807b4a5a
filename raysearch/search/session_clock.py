"""The time of a session's events: when each was, and how long the session had run by then."""

import time


class SessionClock:
    """Stamps events with a session's time.

    Seconds are those of a monotonic clock: a clock that is set back, or a night that the machine
    sleeps through, changes nothing.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()

    def elapsed(self) -> dict[str, float]:
        """Return `elapsed`, the seconds that the session has run."""
        return {"elapsed": max(0.0, round(time.monotonic() - self._began, 3))}

    def stamp(self) -> dict[str, float]:
        """Return `at`, the Unix time, and `elapsed`."""
        return {"at": time.time(), **self.elapsed()}
