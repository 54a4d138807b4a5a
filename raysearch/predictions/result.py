"""ScoreResult: the scores of predictions as a plain value, and how they are printed.

It is apart from scoring because it works without files.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class ScoreResult:
    """The scores of a file of predictions, or of a folder with one file for each language.

    Attributes:
        task: the task's name.
        split: the split's name; "dev" or "test" for a folder.
        examples: the number of examples that were scored.
        scores: fractions, by the names of `raysearch.metrics`. A split of several parts also has
            "part.metric". A folder has "mean.metric" and "gap.metric", see `languages`.
        thresholds: the null scores at which the best scores are reached; -inf if it is best to
            answer no question.
        notes: facts that the scores alone do not show.
        languages: language -> its scores, for a folder.
    """

    task: str
    split: str
    examples: int
    scores: dict[str, float]
    thresholds: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    languages: dict[str, dict[str, float]] = field(default_factory=dict)


def plain_text(result: ScoreResult) -> str:
    """Return one line per score, in percent; for a folder one line per language."""
    count = f"{len(result.languages)} languages, " if result.languages else ""
    lines = [f"{result.task} {result.split}, {count}{result.examples:,} examples"]
    if result.languages:
        lines += _language_lines(result)
    else:
        width = max(map(len, (*result.scores, *result.thresholds)))
        lines += [f"{name:<{width}}  {100 * x:6.2f}" for name, x in result.scores.items()]
        lines += [f"{name:<{width}}  {x:g}" for name, x in result.thresholds.items()]
    return "\n".join([*lines, *(f"note: {note}" for note in result.notes)])


def _language_lines(result: ScoreResult) -> list[str]:
    metrics = list(next(iter(result.languages.values())))
    rows = dict(result.languages)
    for name in ("mean", "gap"):
        row = {m: result.scores[f"{name}.{m}"] for m in metrics if f"{name}.{m}" in result.scores}
        rows |= {name: row} if row else {}
    widths = [max(len(metric), 6) for metric in metrics]
    titles = "".join(f"  {m:>{width}}" for m, width in zip(metrics, widths, strict=True))
    lines = [f"{'':<4}{titles}"]
    for name, row in rows.items():
        cells = (f"  {100 * row[m]:>{w}.2f}" for m, w in zip(metrics, widths, strict=True))
        lines.append(f"{name:<4}{''.join(cells)}")
    if "mean.exact_f1" in result.scores:
        mean = 100 * result.scores["mean.exact_f1"]
        lines.append(f"mean of exact and f1, as XTREME counts: {mean:.2f}")
    return lines


def json_text(result: ScoreResult) -> str:
    """Return a JSON object, with scores in percent."""
    values = dict(vars(result))
    # JSON has no infinity.
    values["thresholds"] = {
        name: x if math.isfinite(x) else None for name, x in result.thresholds.items()
    }
    values["scores"] = _in_percent(result.scores)
    values["languages"] = {code: _in_percent(scores) for code, scores in result.languages.items()}
    if not result.languages:
        del values["languages"]
    return json.dumps(values, indent=2)


def _in_percent(scores: Mapping[str, float]) -> dict[str, float]:
    return {name: 100 * value for name, value in scores.items()}
