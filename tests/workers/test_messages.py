"""The messages of trials: each can be sent to a process that has neither Ray nor torch."""

import pickle
import subprocess
import sys

import pytest

from raysearch.run_folder.events import Plan
from raysearch.run_folder.report import Report
from raysearch.workers.messages import (
    AttemptProgress,
    Decision,
    LaneIdle,
    TrialEnd,
    TrialReport,
    TrialRequest,
    WorkerHung,
)

PROGRESS = AttemptProgress(trial="a", attempt=2, plan=Plan(steps=9, rungs={"0.5": 4}), step=3)
REPORT = Report(stage="finetune", step=4, steps=9, loss=0.5, scores={"dev.accuracy": 0.5})
MESSAGES = [
    TrialRequest(trial="a", task="glue/rte", configuration={"LR": 1e-5}, seed=1, rungs=(0.5,)),
    TrialReport(report=REPORT, attempt=2, progress=PROGRESS),
    TrialEnd(status="failed", error="RuntimeError: a toy broke", progress=PROGRESS),
    TrialEnd(status="finished", seconds=1.5),
    WorkerHung(seconds=31.0),
    LaneIdle(),
    Decision.STOP,
]


def test_messages_are_read_by_a_process_without_ray_and_torch():
    code = (
        "import pickle, sys; content = sys.stdin.buffer.read()\n"
        "messages = pickle.loads(content)\n"
        "assert not {'ray', 'torch', 'optuna'} & set(sys.modules)\n"
        "sys.stdout.buffer.write(pickle.dumps(messages))\n"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, input=pickle.dumps(MESSAGES), capture_output=True, check=True)
    assert pickle.loads(result.stdout) == MESSAGES


@pytest.mark.parametrize("message", MESSAGES[:-1], ids=lambda message: type(message).__name__)
def test_messages_are_never_changed(message):
    with pytest.raises(AttributeError):
        message.serial = 5
