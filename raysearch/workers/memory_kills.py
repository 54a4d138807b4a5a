"""Whether a process was killed for lack of memory.

It is apart because neither Linux nor Ray says it to those who wait for the process: the kernel
counts such kills for the whole host, and Ray names them in an error's text.
"""

from pathlib import Path

OUT_OF_MEMORY = (
    "its host ran out of memory, or the limit of its container did, and a process was killed;"
    " a smaller micro-batch, fewer lanes on a host or more memory would do"
)


def memory_kills() -> int:
    """Return how many processes the kernel of this host has killed for lack of memory so far.

    Those killed at the limit of a control group count too; 0 where the kernel does not say.
    """
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def death_reason(error: BaseException) -> str:
    """Return why a worker group died, if its error says that memory was lacking; else empty."""
    return OUT_OF_MEMORY if "OutOfMemoryError" in f"{type(error).__name__} {error}" else ""
