"""A script in the place of NVIDIA's `nvidia-cuda-mps-control`."""

import os
import textwrap
from pathlib import Path

from raysearch.workers import mps

# Like the real one: -d leaves a daemon behind, whose id is in a file; commands come by a pipe.
SCRIPT = """\
    #!/bin/bash
    pipes=$CUDA_MPS_PIPE_DIRECTORY; echo "$0 $*" >> {log}
    pid=$pipes/nvidia-cuda-mps-control.pid
    if [ "$1" = -d ]; then
        [ "{mode}" = refuses ] && {{ echo "an instance runs already" >&2; exit 1; }}
        mkfifo $pipes/control
        "$0" serve & echo $! > $pid
        exit 0
    fi
    if [ "$1" = serve ]; then
        trap '' INT; [ "{mode}" = stubborn ] && trap 'exit 0' TERM
        exec 3<> $pipes/control
        while true; do
            read -r -t 60 line <&3; echo "served $line" >> {log}
            [ "${{line%% *}}" = quit ] && [ "{mode}" != stubborn ] && {{ rm $pid; exit 0; }}
        done
    fi
    read -r line
    echo "$line" > $pipes/control
"""


def install(folder: Path, monkeypatch, mode: str = "obeys") -> Path:
    """Put the script on the path, and return the file that it logs to.

    Args:
        folder: where both go.
        monkeypatch: pytest's.
        mode: "obeys"; "refuses" to start; "stubborn" where it does not end when it is told to.
    """
    script, log = folder / "bin" / mps.CONTROL, folder / "mps-calls"
    script.parent.mkdir()
    script.write_text(textwrap.dedent(SCRIPT).format(log=log, mode=mode))
    script.chmod(0o755)
    log.touch()
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    monkeypatch.delenv(mps.PIPES, raising=False)
    return log
