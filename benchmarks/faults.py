"""What a fault costs a search: one row of a table for each fault, injected into a running study.

    python benchmarks/faults.py [--only worker,lane]   # as root; prints a markdown table

A study of six short trials of a tiny BERT runs from a head host without CPUs over two worker
hosts with one each (network namespaces of this machine, see tests/cluster/hosts.py). The fault
comes while both train and after one trial has ended. A run that ends with an error is resumed at
once. The columns: trials that never ended; trials that had ended and were begun again; seconds of
training that were done again; seconds from the fault until both trials that were in training went
on, which is a new attempt of one that was interrupted, else a report or an end.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "cluster"))

from hosts import Host, missing, wait_until
from ray_hosts import RUN, Cluster, cluster, running, trials_begun_again

TRIALS = 6
FULL = 15.0  # seconds that the disk is full
CUT = 30.0  # seconds that the link is cut
MEMORY = 4096  # bytes: the limit of a worker, which has more already
COMMAND = "python -c from raysearch"
END = 150.0  # seconds within which a run ends after the fault

Inject = Callable[[Cluster], None]


def kill(*titles: str, number: signal.Signals = signal.SIGKILL) -> Inject:
    """Send a signal to the first process with one of the titles, on the first host that has one."""

    def inject(made: Cluster) -> None:
        hosts = [*made.workers, made.head]
        os.kill(next(p for host in hosts for p in host.processes(*titles)), number)

    return inject


def kill_raylet(made: Cluster) -> None:
    """Kill the raylet of the first worker host."""
    host = made.workers[0]
    (raylet,) = (p for p in host.processes() if _program(p) == "raylet")
    os.kill(raylet, signal.SIGKILL)


def wait_for_end(made: Cluster) -> None:
    """Wait until the command has ended, and tell how long that took."""
    seconds = wait_until(lambda: not made.head.processes(COMMAND), "the end of the command", END)
    print(f"the command ended after {seconds:.1f} s", file=sys.stderr)


def kill_gcs(made: Cluster) -> None:
    """Kill the GCS of the head, wait for the end of the command, and start a new cluster."""
    (gcs,) = (p for p in made.head.processes() if _program(p) == "gcs_server")
    os.kill(gcs, signal.SIGKILL)
    wait_for_end(made)
    made.restart()


def kill_host(made: Cluster) -> None:
    """Kill all processes of the first worker host."""
    made.workers[0].kill()


def cut_link(made: Cluster) -> None:
    """Cut the link of the first worker host for a while."""
    made.workers[0].cut()
    time.sleep(CUT)
    made.workers[0].heal()


def kill_driver(made: Cluster) -> None:
    """Kill the command."""
    for process in made.head.processes(COMMAND):
        os.kill(process, signal.SIGKILL)


def interrupt(made: Cluster) -> None:
    """Stop a worker process and press Ctrl-C; wait until the command has ended."""
    kill("ray::RayTrainWorker", number=signal.SIGSTOP)(made)
    for process in made.head.processes(COMMAND):
        os.kill(process, signal.SIGINT)
    wait_for_end(made)


def exhaust_memory(made: Cluster) -> None:
    """Let the kernel kill a worker process: its next page is above a limit."""
    root = Path("/sys/fs/cgroup")
    parent, limit = (
        (root / "memory", "memory.limit_in_bytes")
        if (root / "memory").is_dir()
        else (root, "memory.max")
    )
    group = parent / f"raysearch-{os.getpid()}"
    group.mkdir()
    worker = next(p for host in made.workers for p in host.processes("ray::RayTrainWorker"))
    (group / limit).write_text(str(MEMORY))
    (group / "cgroup.procs").write_text(str(worker))
    wait_until(lambda: not Path(f"/proc/{worker}").exists(), "the kernel to kill the worker", 60)
    group.rmdir()


def fill_disk(made: Cluster) -> None:
    """Fill the disk of the run folder for a while."""
    made.head.run("dd", "if=/dev/zero", "of=/root/runs/filler", "bs=1M")
    time.sleep(FULL)
    made.head.check("rm", "/root/runs/filler")


# name -> what it is called in the table, how it is injected
FAULTS: dict[str, tuple[str, Inject]] = {
    "worker": ("`kill -9` of a worker process", kill("ray::RayTrainWorker")),
    "lane": ("`kill -9` of a lane's actor", kill("ray::Lane", "ray::Resource")),
    "broker": ("`kill -9` of the broker", kill("ray::TrialBroker")),
    "raylet": ("`kill -9` of a worker host's raylet", kill_raylet),
    "host": ("a worker host killed", kill_host),
    "gcs": ("`kill -9` of the head's GCS, then `raysearch resume` on a new cluster", kill_gcs),
    "link": (f"a worker host's link cut for {CUT:g} s", cut_link),
    "driver": ("`kill -9` of the command, then `raysearch resume`", kill_driver),
    "interrupt": ("Ctrl-C with a stopped worker, then `raysearch resume`", interrupt),
    "memory": ("a worker process killed for lack of memory", exhaust_memory),
    "disk": (
        f"the run folder's disk full for {FULL:g} s, then `raysearch resume`",
        fill_disk,
    ),
    "hung": (
        "`kill -STOP` of a worker process",
        kill("ray::RayTrainWorker", number=signal.SIGSTOP),
    ),
}


def main() -> None:
    """Inject the faults one after another, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(FAULTS), help="names, separated by commas")
    names = parser.parse_args().only.split(",")
    if unknown := [name for name in names if name not in FAULTS]:
        parser.error(f"no fault {', '.join(unknown)}; there are {', '.join(FAULTS)}")
    if reason := missing():
        parser.error(reason)
    print("| fault | lost | begun again | seconds lost | seconds until it went on | exit codes |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    for name in names:
        print(f"| {' | '.join(measure(*FAULTS[name]))} |", flush=True)


def measure(text: str, inject: Inject) -> list[str]:
    """Inject a fault into a run, see the run to its end, and return the row."""
    with tempfile.TemporaryDirectory() as folder, cluster(workers=2) as made:
        output = Path(folder) / "out.txt"
        _mount_disk(made.head)
        process = made.run(output, TRIALS, epochs=3)
        made.wait_for("end", 1, process)
        wait_until(lambda: len(running(made.events())) == 2, "two trials at once")
        before, at = made.events(), time.time()
        inject(made)
        codes = _to_the_end(made, process, output)
        return [text, *_figures(before, made.events(), at), codes]


def _mount_disk(head: Host) -> None:
    """Give the run folder a disk of its own, just large enough for the run to start."""
    head.check("mkdir", "/root/runs")
    head.check("mount", "-t", "tmpfs", "-o", "size=700m", "runs", "/root/runs")


def _to_the_end(made: Cluster, process: subprocess.Popen[bytes], output: Path) -> str:
    """Wait for the end of a run, resume it once if it failed, and return the exit codes."""
    codes = []
    try:
        codes.append(_shown(process.wait(END)))
        if process.returncode:
            codes.append(_shown(made.start("resume", RUN, output=output).wait(END)))
    except subprocess.TimeoutExpired:
        codes.append(f"none within {END:g} s")
    return ", then ".join(codes)


def _shown(code: int) -> str:
    """Return an exit code; that of a killed process as a shell shows it."""
    return str(code if code >= 0 else 128 - code)


def _figures(before: list[dict[str, Any]], after: list[dict[str, Any]], at: float) -> list[str]:
    """Return lost trials, repeated ones, seconds lost and seconds until it went on.

    Args:
        before: the journal's events at the fault.
        after: those at the end.
        at: the time of the fault, in seconds since 1970.
    """
    lost = TRIALS - len({event["trial"] for event in after if event["event"] == "end"})
    begun = [e for e in after if e["event"] == "attempt" and e["at"] > at]
    waits = [_wait(after, trial, at) for trial in running(before)]
    wait = "never" if None in waits else f"{max(w for w in waits if w is not None):.0f}"
    seconds = sum(_seconds_lost(after, event) for event in begun)
    return [str(lost), str(len(trials_begun_again(after))), f"{seconds:.0f}", wait]


def _wait(events: list[dict[str, Any]], trial: str, at: float) -> float | None:
    """Return the seconds from a time until a trial went on; None if it did not."""
    later = [e for e in events if e.get("trial") == trial and e.get("at", 0) > at]
    begun = [event for event in later if event["event"] == "attempt"]
    return next((event["at"] - at for event in begun or later), None)


def _seconds_lost(events: list[dict[str, Any]], begin: dict[str, Any]) -> float:
    """Return the seconds that the attempt before one had trained past the step it starts from."""
    spent = [
        event
        for event in events
        if event["event"] == "spent"
        and event["trial"] == begin["trial"]
        and event["attempt"] == begin["attempt"] - 1
    ]
    if not spent:
        return 0.0
    seconds, step = spent[-1]["seconds"], spent[-1].get("step") or 0
    return seconds * (1 - min(1, begin.get("from_step", 0) / step)) if step else seconds


def _program(process: int) -> str:
    """Return the name of a process's program."""
    try:
        return Path(f"/proc/{process}/comm").read_text().strip()
    except OSError:  # it has ended
        return ""


if __name__ == "__main__":
    main()
