"""How many cores this process may use: by its affinity, and by the quotas of its control groups.

It is apart because a container of 2 CPUs on a machine of 64 cores shows all 64 to Python and Ray.
"""

import math
import os
from pathlib import Path


def usable_cores(root: Path = Path("/")) -> int:
    """Return the number of cores that this process may use, at least 1.

    A quota of 2.5 cores counts as 2, and one below a core as 1.

    Args:
        root: the folder that holds proc/ and sys/.
    """
    cores = min(len(os.sched_getaffinity(0)), cpu_quota(root))
    return max(1, int(cores + 1e-9))


def cpu_quota(root: Path = Path("/")) -> float:
    """Return the cores that the quotas of this process's control groups allow, inf without any.

    A quota of a group above counts too: Kubernetes sets one on a pod, SLURM one on a job.

    Args:
        root: the folder that holds proc/ and sys/.
    """
    return min(map(_quota, _group_folders(root)), default=math.inf)


def _group_folders(root: Path) -> list[Path]:
    """Return the folders of the process's CPU groups, up to the root of each hierarchy."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # no control groups on this system
        return []
    folders: list[Path] = []
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        names = controllers.split(",")
        if number == "0" and not controllers:  # version 2; beside version 1 in a folder of its own
            tops = ["sys/fs/cgroup", "sys/fs/cgroup/unified"]
        elif "cpu" in names:
            tops = ["sys/fs/cgroup/cpu", f"sys/fs/cgroup/{controllers}"]
        else:
            continue
        parts = [part for part in group.split("/") if part not in ("", "..")]
        for top in tops:  # in a container the group's path may be missing: its top is the group
            folders += [root.joinpath(top, *parts[:depth]) for depth in range(len(parts) + 1)]
    return folders


def _quota(folder: Path) -> float:
    """Return the quota of one control group in cores; inf if it has none."""
    try:
        if (limit := folder / "cpu.max").exists():
            quota, period = limit.read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
        return int(quota) / int(period) if int(quota) > 0 else math.inf
    except (OSError, ValueError, ZeroDivisionError):  # "max", or no such group
        return math.inf
