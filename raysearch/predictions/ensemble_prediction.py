"""Predictions of several models together, and what they score on dev beside each of them.

It is apart from `prediction`, in which one model predicts. The scores that the models give are
averaged, in float64, before anything is chosen: of classes, options, words, or of the tokens as
start and end.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import readers
from ..data.dataset import EncodedDataset
from ..errors import InputError, Problem
from ..heads import HEADS
from ..heads.task_head import Forward
from ..models import finetuned
from ..results import formatting
from ..results.score_intervals import RunIntervals
from ..run_folder import dev_predictions
from ..run_folder.report import dev_scores
from ..tasks import Split
from .ensemble_members import Member, Sources, TaskMembers, find_members
from .model_evaluation import DevScore, dev_score
from .prediction_checks import choose_splits, find_problems
from .prediction_jobs import make_job
from .split_predictor import SplitPredictor

if TYPE_CHECKING:
    import pyarrow as pa

Report = Callable[[str], None]
# Settings with which scores are decoded; those of the first model are used.
_DECODING = ("n_best", "beam", "answer_length", "null_threshold")


@dataclass(frozen=True, kw_only=True)
class EnsembleScore:
    """A score of an ensemble on a task.

    Attributes:
        ensemble: its score, with the interval over examples: it is one system.
        members: the score of each of its models on the same examples, by its name.
        printed: the score that the run's table prints, of all seeds of the winner, with its
            interval over seeds and examples; None where it is of other examples, or unknown.
    """

    ensemble: DevScore
    members: Mapping[str, float]
    printed: DevScore | None = None


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """What an ensemble has predicted.

    Attributes:
        files: the files of predictions that were written.
        scores: of dev splits; of each task all splits and metrics.
    """

    files: tuple[Path, ...]
    scores: tuple[EnsembleScore, ...] = ()


def predict_ensemble(
    sources: str | Path | Sequence[str | Path],
    *,
    count: int,
    to: str | Path,
    data: str | Path | None = None,
    names: Sequence[str] | None = None,
    split: str | None = None,
    note: Report | None = None,
) -> Ensemble:
    """Write files of the predictions of several models together, as `predict` does of one.

    All models are in memory at once.

    Args:
        sources: a run folder, whose winners' confirmed seeds predict; or transformers folders.
        count: how many models predict together.
        to: the folder for the files.
        data: the folder that holds the benchmark's folders; by default that of the run.
        names: only these tasks; required for transformers folders.
        split: see `prediction.predict`; dev splits are scored too.
        note: called with lines of progress and with assumptions.

    Raises:
        InputError: weights of fewer models are there; the models read other tokens where tokens or
            words are scored; or what `prediction.predict` refuses.
    """
    several = [sources] if isinstance(sources, str | Path) else sources
    found = find_members([Path(path) for path in several], data, names, count)
    to, say = Path(to), note or (lambda line: None)
    rows = [part.task for part in found.tasks]
    splits, problems = choose_splits(rows, split, names or ())
    pairs = [(part.task, member.folder) for part in found.tasks for member in part.members]
    problems += find_problems(pairs, splits, found.data, to, names or ())
    problems += [
        Problem(location=task.name, text="is predicted as embeddings, which have no mean")
        for task in rows
        if task.facts.writes_embeddings
    ]
    if problems:
        raise InputError(str(several[0]), dict.fromkeys(problems))
    results = [_predict_task(part, splits[part.task.name], found, to, say) for part in found.tasks]
    return Ensemble(
        files=tuple(path for result in results for path in result.files),
        scores=tuple(score for result in results for score in result.scores),
    )


def _predict_task(
    part: TaskMembers, splits: Sequence[Split], found: Sources, to: Path, say: Report
) -> Ensemble:
    """Return the files and the scores of one task."""
    task, head = part.task, HEADS[part.task.head]
    present = readers.present_splits(task, found.data)
    wanted = [split for split in splits if split.name in present]
    if not wanted:
        return Ensemble(files=())

    def warn(text: str) -> None:
        say(f"{task.name}: {text}")

    for text in part.notes:
        warn(text)
    models = _Models(part, found.data, say, warn)
    files: list[Path] = []
    scored = _Scored(models)
    for split in wanted:
        examples = models.examples(split)
        predictions = models.predict(range(len(part.members)))
        say(f"{task.name} {split.name}: {len(examples):,} examples predicted")
        files += head.write(to, task, split, examples.ids(), predictions, models.hyper)
        if split.labelled:
            scored.add(split, examples, predictions)
    if not scored.tables:
        return Ensemble(files=tuple(files))
    division = finetuned.division_note(part.members[0].folder, task)
    if division:
        warn(f"{division}; the table's score is of that part")
    cut = any(size > (models.hyper.dev_examples or size) for size in scored.sizes)
    if cut:
        warn("the table's score is of fewer examples (dev_examples)")
    printed: Callable[[str], DevScore | None] = _no_score
    if not (division or cut):
        whole = {split.name for split in task.dev if split.name in present} == {*scored.tables}
        printed = _printed_scores(part, found, warn, whole=whole)
    return Ensemble(files=tuple(files), scores=tuple(scored.scores(printed)))


class _Models:
    """The models of an ensemble, which predict one split after the other.

    What a model computes of a split is kept until the next one, so that the score of each model
    costs no further pass.
    """

    def __init__(self, part: TaskMembers, root: Path, say: Report, warn: Report) -> None:
        self.task, self.members = part.task, part.members
        self._predictors = [_load(member, part, root, say, warn) for member in part.members]
        self.hyper = self._predictors[0].job.hyper
        _refuse_other_heads(part, self._predictors, warn)
        self._outputs: dict[tuple[int, Forward], np.ndarray] = {}

    def examples(self, split: Split) -> EncodedDataset:
        """Return the examples of a split, which is predicted from now on.

        Raises:
            InputError: a model's rows are not those of the first one.
        """
        self._split, self._outputs = split, {}
        self._examples = [predictor.examples(split) for predictor in self._predictors]
        first = self._examples[0]
        for member, other in zip(self.members, self._examples, strict=True):
            text = ""
            if other.ids() != first.ids():
                text = "it has other examples"
            elif self.task.facts.splits_examples and not other.table.equals(first.table):
                text = "it reads other tokens (tokenizer or max_length), so that the scores of"
                text += " tokens and words have no mean"
            if text:
                text = f"'{member.folder}' and '{self.members[0].folder}': {text}"
                problem = Problem(location=f"{self.task.name} {split.name}", text=text)
                raise InputError("--ensemble", [problem])
        return first

    def predict(self, members: Sequence[int]) -> Any:
        """Return the predictions of some of the models together."""

        def mean(forward: Forward, columns: Mapping[str, np.ndarray] | None = None) -> np.ndarray:
            parts = [self._compute(index, forward, columns) for index in members]
            total = np.zeros(parts[0].shape, np.float64)
            for outputs in parts:
                total += outputs
            total /= len(parts)
            return total

        examples = self._examples[members[0]]
        return HEADS[self.task.head].predict_average(mean, examples, self.task, self.hyper)

    def _compute(
        self, index: int, forward: Forward, columns: Mapping[str, np.ndarray] | None
    ) -> np.ndarray:
        """Return what a model computes of the split; without columns once."""
        predictor, examples = self._predictors[index], self._examples[index]
        if columns:
            examples = examples.with_columns(columns)
            return predictor.outputs(self._split, examples, forward, _all_finite)
        key = index, forward
        if key not in self._outputs:
            self._outputs[key] = predictor.outputs(self._split, examples, forward, _all_finite)
        return self._outputs[key]


@dataclass
class _Scored:
    """The scores of dev splits, of the ensemble and of each of its models.

    Attributes:
        models: they predict the split that was added last.
        tables: dev split -> the ensemble's predictions with what scores them.
        sizes: the number of examples of each split.
    """

    models: _Models
    tables: "dict[str, pa.Table]" = field(default_factory=dict)
    sizes: list[int] = field(default_factory=list)
    _values: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)

    def add(self, split: Split, examples: EncodedDataset, predictions: Any) -> None:
        """Score a split that the models have just predicted."""
        task, hyper, head = self.models.task, self.models.hyper, HEADS[self.models.task.head]
        kept = head.kept(predictions, examples, task, hyper)
        self.tables[split.name] = table = dev_predictions.to_table(split.name, kept)
        self.sizes.append(table.num_rows)
        values = {"": head.score(predictions, examples, task, hyper)}
        for index, member in enumerate(self.models.members):
            own = self.models.predict([index])
            values[member.name] = head.score(own, examples, task, hyper)
        for name, scores in values.items():
            self._values.setdefault(name, {})[split.name] = scores

    def scores(self, printed: Callable[[str], DevScore | None]) -> list[EnsembleScore]:
        """Return all scores.

        Args:
            printed: returns the score of a name that the run's table prints.
        """
        task, threshold = self.models.task, self.models.hyper.null_threshold
        every = {
            name: dev_scores(splits, task.dev[0].name, multilingual=bool(task.languages))
            for name, splits in self._values.items()
        }
        ensemble = every.pop("")
        return [
            EnsembleScore(
                ensemble=dev_score(task, threshold, name, value, self.tables),
                members={member: scores[name] for member, scores in every.items()},
                printed=printed(name),
            )
            for name, value in ensemble.items()
        ]


def _load(
    member: Member, part: TaskMembers, root: Path, say: Report, warn: Report
) -> SplitPredictor:
    """Return one of the models, ready to predict."""

    def told(text: str) -> None:
        warn(f"{member.name}: {text}")

    job = make_job(part.task, member.folder, None)
    for text in job.notes:
        told(text)
    return SplitPredictor(job, root, say, told)


def _refuse_other_heads(
    part: TaskMembers, predictors: Sequence[SplitPredictor], warn: Report
) -> None:
    """Raise InputError if scores of the models are of another kind; tell other decodings."""
    first, problems = predictors[0].job, []
    read_by = first.hyper.read_by_heads()
    decoding = [n for n in _DECODING if part.task.head in read_by.get(n, (part.task.head,))]
    for member, predictor in zip(part.members, predictors, strict=True):
        own = predictor.job.hyper
        if part.task.facts.extracts_answers and own.span_head != first.hyper.span_head:
            text = f"'{member.folder}' has a span head that is {own.span_head},"
            text += f" '{first.folder}' one that is {first.hyper.span_head}: they have no mean"
            problems.append(Problem(location=part.task.name, text=text))
        other = [name for name in decoding if getattr(own, name) != getattr(first.hyper, name)]
        for name in other:
            used = getattr(first.hyper, name)
            warn(f"{name} {used} decodes; {member.name} was trained with {getattr(own, name)}")
    if problems:
        raise InputError("--ensemble", problems)


def _all_finite(outputs: np.ndarray) -> bool:
    return bool(np.isfinite(outputs).all())


def _no_score(name: str) -> DevScore | None:
    return None


def _printed_scores(
    part: TaskMembers, found: Sources, warn: Report, *, whole: bool
) -> Callable[[str], DevScore | None]:
    """Return a function that gives the score of a name that the run's table prints.

    Without all dev splits (`whole`) it gives none over languages.
    """
    leader = part.leader
    if leader is None or found.run is None or part.task.predicted_by:
        return _no_score
    folder, study = found.run
    task, intervals = study.resolve(part.task.name), RunIntervals(folder, warn)

    def printed(name: str) -> DevScore | None:
        over_languages = bool({"mean", "gap"} & {*name.split(".")})
        if name not in leader.scores or (over_languages and not whole):
            return None
        interval = intervals(task, leader, name)
        return DevScore(
            task=part.task.name,
            name=name,
            examples=0,
            value=leader.scores[name],
            low=interval.low if interval else None,
            high=interval.high if interval else None,
        )

    return printed


def plain_text(result: Ensemble) -> str:
    """Return tables of the scores, in percent: a line for the ensemble, and for each model."""
    blocks = []
    for score in result.scores:
        own = score.ensemble
        title = f"{own.task} {own.name.removeprefix('dev.')}, {own.examples:,} examples, percent"
        rows = [("ensemble", _percent(own.value), _ends(own))]
        rows += [(name, _percent(value), "") for name, value in score.members.items()]
        if score.printed is not None:
            rows.append(("table", _percent(score.printed.value), _ends(score.printed)))
        lines = (line.rstrip() for line in formatting.aligned(rows, left=1))
        blocks.append("\n".join([title, *lines]))
    if blocks:
        text = "95 %: of the ensemble over examples, as it is one system"
        if any(score.printed for score in result.scores):
            text += "; of the table's score over seeds and examples"
        blocks.append(text)
    return "\n".join(blocks)


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"


def _ends(score: DevScore) -> str:
    if score.low is None or score.high is None:
        return ""
    return f"95 %: {100 * score.low:.2f} to {100 * score.high:.2f}"
