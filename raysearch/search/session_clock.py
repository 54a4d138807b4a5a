"""The time of a session's events.

It is apart so that everything that writes to a session's journal shares one clock.
"""

import time


class SessionClock:
    """A clock that starts with a session.

    Its seconds are those of a monotonic clock: they do not change when the system's clock is set,
    and do not run while the machine sleeps.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()

    def elapsed(self) -> dict[str, float]:
        """Return `elapsed`, the seconds since the session began."""
        return {"elapsed": max(0.0, round(time.monotonic() - self._began, 3))}

    def stamp(self) -> dict[str, float]:
        """Return `at`, the Unix time in seconds, and `elapsed`."""
        return {"at": time.time(), **self.elapsed()}
