"""The messages between the trial queue, Tune's lanes, the broker and the workers.

They are apart from their senders and readers because they import neither Ray nor torch: the queue,
which knows no Ray, makes requests, and the broker, which knows no torch, passes reports on.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..run_folder.outcomes import Outcome, Selection
from ..run_folder.plan import Plan
from ..run_folder.report import Report


class Decision(Enum):
    """What a worker does after a report or a sign of life.

    Attributes:
        CONTINUE: train on, to the next report.
        SAVE: train on, and write checkpoints often: a node of the lane is about to leave.
        STOP: leave the trial.
    """

    CONTINUE = "continue"
    SAVE = "save"
    STOP = "stop"


class Phase(Enum):
    """What a worker does between two signs of life.

    Attributes:
        TRAINING: an optimizer step.
        EVALUATING: a batch of a dev split, or the scores of all.
        SAVING: a checkpoint.
    """

    TRAINING = "training"
    EVALUATING = "evaluating"
    SAVING = "saving"


@dataclass(frozen=True, kw_only=True)
class TrialRequest:
    """A trial that a lane is to run.

    Attributes:
        trial: id of the trial.
        task: name of the task.
        configuration: the point of the search space together with the fixed hyperparameters.
        seed: of the trial.
        rungs: fractions of the schedule that need an evaluation.
        selector: the score that selects, for example "dev.accuracy".
        select: the evaluation that counts.
        keep_weights: whether the weights are needed after the trial's end.
        keep_predictions: whether the dev predictions are needed after the trial's end.
        start: id of the trial of another task whose weights it starts from; "" for a model.
        teacher: id of the trial whose weights teach this one; "" for none.
        attempt: number of this attempt, from 1 over the whole run.
        retries: how many more attempts are allowed.
        serial: number of the request in its lane, from 1; the broker sets it.
    """

    trial: str
    task: str
    configuration: dict[str, Any]
    seed: int
    rungs: tuple[float, ...] = ()
    selector: str = ""
    select: Selection = "best"
    keep_weights: bool = False
    keep_predictions: bool = False
    start: str = ""
    teacher: str = ""
    attempt: int = 1
    retries: int = 0
    serial: int = 0


@dataclass(frozen=True, kw_only=True)
class DeviceMemory:
    """The memory of the device of a lane, in bytes.

    Attributes:
        device: the name of the device, as `machine.device_name` gives it.
        free: what no process has.
        reserved: what the worker's tensors and their cache hold, without its context.
        peak: the most that they have held.
    """

    device: str
    free: int
    reserved: int
    peak: int


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What an attempt has trained, and what its worker takes.

    Attributes:
        tokens: that the attempt has trained on, without padding.
        seconds: of training steps, evaluations left out.
        evaluated: whether the worker has evaluated any model.
        ran_out: how often the worker has run out of memory since it came up.
        memory: of its device; None if it cannot be read.
    """

    tokens: int
    seconds: float
    evaluated: bool = False
    ran_out: int = 0
    memory: DeviceMemory | None = None


@dataclass(frozen=True, kw_only=True)
class AttemptProgress:
    """What is known of a running attempt.

    Attributes:
        trial: id of the trial.
        attempt: number of the attempt, from 1 over the whole run.
        plan: the schedule of the trial.
        from_step: the step that the attempt starts from; above 0 after a checkpoint.
        seconds: wall seconds of the trial so far, over all its attempts.
        spent_before: those of the attempts before, as far as the checkpoint knows.
        step: the last step that a sign of life named; None before the first one.
        lane: number of the lane, from 1; the broker sets it.
        host: name of the host that the attempt runs on.
        device: what it is trained on, for example "cpu".
        nodes: ids of the nodes that the lane's workers are on.
        note: what the log is to say of the attempt.
        usage: what was measured with the last sign of life; None if nothing is.
    """

    trial: str
    attempt: int
    plan: Plan
    from_step: int = 0
    seconds: float = 0.0
    spent_before: float = 0.0
    step: int | None = None
    lane: int | None = None
    host: str | None = None
    device: str | None = None
    nodes: tuple[str, ...] = ()
    note: str = ""
    usage: Usage | None = None


@dataclass(frozen=True, kw_only=True)
class TrialReport:
    """A report of a trial, which waits for a decision.

    Attributes:
        report: the evaluation.
        attempt: number of the attempt that made it.
        progress: of the attempt; the broker sets it.
    """

    report: Report
    attempt: int
    progress: AttemptProgress | None = None


@dataclass(frozen=True, kw_only=True)
class TrialEnd:
    """The end of a trial that was not stopped.

    Attributes:
        status: how it ended.
        error: why it failed.
        seconds: wall seconds of the trial over all its attempts; None if it failed.
        progress: of its last attempt; the broker sets it. None if no attempt had begun, or if its
            workers died.
    """

    status: Outcome
    error: str | None = None
    seconds: float | None = None
    progress: AttemptProgress | None = None


@dataclass(frozen=True, kw_only=True)
class WorkerHung:
    """The news that a lane's worker shows no sign of life.

    Attributes:
        seconds: since the last sign of life.
    """

    seconds: float


@dataclass(frozen=True, kw_only=True)
class LaneLost:
    """The news that the broker has started again and does not know a lane any more.

    The lane's trial runs again from its checkpoint, and the lane starts other workers for the next.
    """


@dataclass(frozen=True, kw_only=True)
class LaneIdle:
    """The news that a lane has no trial."""


@dataclass(frozen=True, kw_only=True)
class WorkersReleased:
    """The news that a lane's workers have been let go while it was idle."""


@dataclass(frozen=True, kw_only=True)
class LaneGivenUp:
    """The news that a lane is one too many on its device; its next trial goes to another."""


@dataclass(frozen=True, kw_only=True)
class NodeLost:
    """The news that a lane's node has left the cluster, which holds fewer lanes now."""


@dataclass(frozen=True, kw_only=True)
class Interrupted:
    """The news that the run is interrupted; a lane's trial goes on when it is resumed."""


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """What the driver fetches of an ended trial from Ray's object store.

    Attributes:
        weights: parameter or buffer name -> float32 array, of the evaluation that counts; None if
            they are not needed.
        predictions: the dev predictions of that evaluation, see `Trainer.predictions`.
    """

    weights: dict[str, NDArray[np.float32]] | None
    predictions: bytes


WorkerMessage = TrialReport | TrialEnd
LaneEvent = (
    WorkerMessage
    | WorkerHung
    | LaneLost
    | LaneIdle
    | LaneGivenUp
    | WorkersReleased
    | NodeLost
    | Interrupted
)
