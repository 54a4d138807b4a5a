"""Report: the result of one evaluation of a trial.

It is apart from the trainer because it leaves the worker for processes without torch.
"""

from dataclasses import dataclass, field

from .outcomes import ReportStatus


@dataclass(frozen=True, kw_only=True)
class Report:
    """One evaluation of a trial.

    Attributes:
        stage: name of the recipe's stage.
        step: optimizer steps done in this stage.
        steps: optimizer steps planned.
        loss: mean training loss per example since the previous report.
        terms: mean of each term of the loss, without its weight; empty if there is a single term.
        scores: "dev.<metric>" of the first dev split, "dev.<split>.<metric>" of the others. With
            `hold_out` these are of the part that is printed, and "search." of the one that selects.
        status: "running" until the last evaluation.
        seconds: wall seconds since the trial began, over all its attempts.
        rate: learning rate of the last step.
        tokens: tokens trained on so far, without padding.
        micro_batches: micro-batches in the last step, on this worker.
        switched: share of the words that dictionaries have switched since the previous report; None
            where none are used. It is below the rate that was asked for, as dictionaries lack
            words.
    """

    stage: str
    step: int
    steps: int
    loss: float
    terms: dict[str, float] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    status: ReportStatus = "running"
    seconds: float = 0.0
    rate: float = 0.0
    tokens: int = 0
    micro_batches: int = 1
    switched: float | None = None

    @property
    def progress(self) -> float:
        """Return the share of the schedule that is done."""
        return self.step / self.steps
