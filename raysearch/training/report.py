"""What a trial says at an evaluation."""

from dataclasses import dataclass, field
from typing import Literal

Status = Literal["running", "finished", "diverged", "degenerate"]


@dataclass(frozen=True, kw_only=True)
class Report:
    """One evaluation of a trial.

    Attributes:
        stage: of the recipe.
        step: optimizer steps done in this stage.
        steps: optimizer steps planned.
        loss: mean training loss per example since the report before.
        terms: the same of what it consists of, without weights, where it has several terms.
        scores: "dev.<metric>" of the first dev split, "dev.<split>.<metric>" of the others.
        status: running until the last evaluation.
        seconds: wall seconds since the trial began, over all its attempts.
        rate: learning rate of the last step.
        tokens: real tokens seen so far.
        micro_batches: micro-batches in the last step, on this worker.
        switched: share of the words that dictionaries have switched since the report before, where
            they are asked; their rate is below the one that was asked for, as they lack words.
    """

    stage: str
    step: int
    steps: int
    loss: float
    terms: dict[str, float] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    status: Status = "running"
    seconds: float = 0.0
    rate: float = 0.0
    tokens: int = 0
    micro_batches: int = 1
    switched: float | None = None

    @property
    def progress(self) -> float:
        """Share of the schedule that is done."""
        return self.step / self.steps
