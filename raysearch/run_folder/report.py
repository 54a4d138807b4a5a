"""Report: the result of one evaluation of a trial.

It is apart from the trainer because it leaves the worker for processes without torch.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .. import metrics
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


def splits_of(name: str, splits: Sequence[str]) -> list[str]:
    """Return the dev splits that a score of `dev_scores` is of.

    Args:
        name: the score: "dev.accuracy", "dev.mismatched.accuracy", "dev.mean.f1".
        splits: the dev splits; the first one selects.
    """
    prefix = name.partition(".")[2].rpartition(".")[0]
    return [*splits] if prefix in ("mean", "gap") else [prefix or splits[0]]


def scored_splits(scores: Iterable[str], splits: Sequence[str]) -> list[str]:
    """Return the dev splits that have scores: a language without files has none.

    Args:
        scores: names of `dev_scores`.
        splits: the dev splits; the first one selects.
    """
    prefixes = {name.partition(".")[2].rpartition(".")[0] for name in scores}
    return [split for split in splits if (split if split != splits[0] else "") in prefixes]


def is_gap(name: str) -> bool:
    """Return whether a score is a gap between languages, which has neither bounds nor interval."""
    return "gap" in name.split(".")


def dev_scores(
    splits: Mapping[str, Mapping[str, float]],
    first: str,
    *,
    multilingual: bool,
    part: str = "dev",
) -> dict[str, float]:
    """Return the scores of dev splits by the names that they have in reports and journals.

    Args:
        splits: dev split -> metric -> fraction.
        first: the split that selects, whose scores are "dev.<metric>"; it may be absent.
        multilingual: whether each split is a language; then there are also "dev.mean.<metric>" and
            "dev.gap.<metric>", see `metrics.over_languages`.
        part: the first word of all names; "search" for the examples on which trials are compared.
    """
    scores = {
        f"{part}.{metric}" if split == first else f"{part}.{split}.{metric}": value
        for split, values in splits.items()
        for metric, value in values.items()
    }
    if multilingual:
        others = [values for split, values in splits.items() if split != first]
        combined = metrics.over_languages(splits.get(first), others)
        scores |= {f"{part}.{name}": value for name, value in combined.items()}
    return scores
