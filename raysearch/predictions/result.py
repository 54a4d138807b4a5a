"""What predictions are worth, as a plain value, and how that is printed. Knows no files."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class ScoreResult:
    """What a file of predictions is worth, or a folder of one for each language.

    Attributes:
        split: the split's name; of a folder "dev" or "test".
        examples: how many were scored.
        scores: fractions, by the names of `raysearch.metrics`; of a split of several parts also
            "part.metric"; of a folder "mean.metric" and "gap.metric", see `languages`.
        thresholds: null scores at which the best scores stand; -inf where silence to everything is
            the best.
        notes: what the scores alone do not say.
        languages: of a folder, language -> its scores.
    """

    task: str
    split: str
    examples: int
    scores: dict[str, float]
    thresholds: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    languages: dict[str, dict[str, float]] = field(default_factory=dict)


def plain_text(found: ScoreResult) -> str:
    """A line a score, in percent; of a folder a line a language."""
    many = f"{len(found.languages)} languages, " if found.languages else ""
    lines = [f"{found.task} {found.split}, {many}{found.examples:,} examples"]
    if found.languages:
        lines += _languages(found)
    else:
        width = max(map(len, (*found.scores, *found.thresholds)))
        lines += [f"{name:<{width}}  {100 * x:6.2f}" for name, x in found.scores.items()]
        lines += [f"{name:<{width}}  {x:g}" for name, x in found.thresholds.items()]
    return "\n".join([*lines, *(f"note: {note}" for note in found.notes)])


def _languages(found: ScoreResult) -> list[str]:
    metrics = list(next(iter(found.languages.values())))
    rows = dict(found.languages)
    for name in ("mean", "gap"):
        row = {m: found.scores[f"{name}.{m}"] for m in metrics if f"{name}.{m}" in found.scores}
        rows |= {name: row} if row else {}
    widths = [max(len(metric), 6) for metric in metrics]
    titles = "".join(f"  {m:>{width}}" for m, width in zip(metrics, widths, strict=True))
    lines = [f"{'':<4}{titles}"]
    for name, row in rows.items():
        cells = (f"  {100 * row[m]:>{w}.2f}" for m, w in zip(metrics, widths, strict=True))
        lines.append(f"{name:<4}{''.join(cells)}")
    if "mean.exact_f1" in found.scores:
        lines.append(
            f"mean of exact and f1, as XTREME counts: {100 * found.scores['mean.exact_f1']:.2f}"
        )
    return lines


def json_text(found: ScoreResult) -> str:
    """One object, in percent."""
    whole = dict(vars(found))
    # JSON has no infinity.
    whole["thresholds"] = {n: x if math.isfinite(x) else None for n, x in found.thresholds.items()}
    whole["scores"] = _percent(found.scores)
    whole["languages"] = {code: _percent(scores) for code, scores in found.languages.items()}
    if not found.languages:
        del whole["languages"]
    return json.dumps(whole, indent=2)


def _percent(scores: Mapping[str, float]) -> dict[str, float]:
    return {name: 100 * value for name, value in scores.items()}
