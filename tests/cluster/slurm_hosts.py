"""SLURM over hosts of this machine: munge, a controller on the first host, one node on each.

Nothing of the machine's own SLURM or munge is used: their files lie in each host's own /run.
"""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hosts import Network, network, wait_until

PROGRAMS = ("munged (munge)", "slurmctld (slurmctld)", "slurmd (slurmd)", "sbatch (slurm-client)")
OVER = ("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL", "OUT_OF_MEMORY")
# Control groups of the machine are left alone; processes are followed by /proc.
CONFIG = """
ClusterName=hosts
SlurmctldHost=host1
SlurmUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
ReturnToService=2
MailProg=/bin/true
SlurmctldPidFile=/run/slurm/slurmctld.pid
SlurmctldLogFile=/run/slurm/slurmctld.log
StateSaveLocation=/run/slurm/state
SlurmdPidFile=/run/slurm/slurmd.pid
SlurmdLogFile=/run/slurm/slurmd.log
SlurmdSpoolDir=/run/slurm/spool
SlurmdParameters=config_overrides
NodeName=host[1-{nodes}] CPUs=1 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


class Slurm:
    """Hosts that run SLURM.

    Attributes:
        net: of the hosts.
        home: the home folder that they share.
    """

    def __init__(self, net: Network, home: Path, nodes: int) -> None:
        self.net, self.home = net, home
        (home / "slurm.conf").write_text(CONFIG.format(nodes=nodes))
        key = os.urandom(128)
        for _ in range(nodes):
            host = net.add()
            host.check("mkdir", "-p", "-m", "755", "/run/munge", "/run/slurm/state")
            host.path("/run/munge/key").write_bytes(key)
            host.path("/run/munge/key").chmod(0o600)
            files = {"key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
            own = [f"--{option}=/run/munge/{name}" for option, name in files.items()]
            host.check("munged", *own, "--socket=/run/munge/munge.socket.2")
        net.hosts[0].check("slurmctld")
        for host in net.hosts:
            host.check("slurmd", "-N", host.name)
        wait_until(lambda: self._idle() == nodes, f"{nodes} idle nodes", 60)

    def submit(self, script: str, *options: str) -> int:
        """Submit a script with more options of `sbatch`, and return the job's number."""
        (self.home / "job.sbatch").write_text(script)
        given = (f"--chdir={self.home}", *options, f"{self.home}/job.sbatch")
        told = self.net.hosts[0].check("sbatch", *given)
        return int(told.split()[-1])

    def job(self, number: int) -> dict[str, str]:
        """Return what SLURM says of a job, by `scontrol show job`."""
        text = self.net.hosts[0].check("scontrol", "show", "job", str(number))
        return dict(re.findall(r"(\w+)=(\S*)", text))

    def wait(self, number: int, seconds: float) -> dict[str, str]:
        """Wait until a job has ended, and return what SLURM says of it."""
        wait_until(
            lambda: self.job(number)["JobState"] in OVER, f"the end of job {number}", seconds
        )
        return self.job(number)

    def _idle(self) -> int:
        time.sleep(0.5)
        return self.net.hosts[0].run("sinfo", "-hN", "-t", "idle").stdout.count("host")


@contextmanager
def slurm(home: Path, nodes: int) -> Iterator[Slurm]:
    """Give hosts that run SLURM, and end them with all that runs there.

    Args:
        home: the home folder that they share.
        nodes: how many.
    """
    environment = {"HOME": str(home), "SLURM_CONF": f"{home}/slurm.conf"}
    with network(environment, shared=(home,)) as net:
        yield Slurm(net, home, nodes)
