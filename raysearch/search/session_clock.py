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

    @property
    def at(self) -> float:
        """The Unix time in seconds."""
        return time.time()

    @property
    def elapsed(self) -> float:
        """The seconds since the session began."""
        return max(0.0, round(time.monotonic() - self._began, 3))
