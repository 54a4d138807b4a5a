"""The conversion of a fairseq checkpoint into a transformers folder, and its summary.

The families are AMOS, COCO-LM, RoBERTa, XLM-R and Cross-Thought; a checkpoint's family is
determined from its tensors. Code that a file pickles is not run. It is apart from the steps of the
conversion because it combines them.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from ... import __version__
from ...errors import InputError, Problem, first_line, printable, shorten, unknown_name
from . import fairseq_checkpoint, target_model, tokenizer_files, weights
from .converted_card import CardFacts, card
from .head_choice import HEAD_KINDS
from .parameter_names import FAMILIES
from .ranking_rows import RankingRows, check_task, ranking_rows, record_of


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The result of a conversion; `str` returns the text that the command prints.

    Attributes:
        family: one of FAMILIES.
        model: name of the class that loads the folder.
        tensors: number of tensors of the encoder.
        parameters: number of parameters of the encoder.
        head: name, kind and number of tensors of the head, if there is one.
        vocabulary: number of tokens.
        dropped: what was left out -> the number of its tensors.
        skipped_globals: pickled classes and functions that were not run.
        files: the files that were written.
        unnumbered: number of pieces of a SentencePiece model that are no tokens; they become the
            unknown token.
        notes: how a head that chooses was trained, and what prediction needs to know of it.
    """

    family: str
    model: str
    tensors: int
    parameters: int
    head: tuple[str, str, int] | None
    vocabulary: int
    dropped: dict[str, int]
    skipped_globals: tuple[str, ...]
    files: tuple[Path, ...]
    unnumbered: int = 0
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        head = "{} ({}), {} tensors".format(*self.head) if self.head else "none"
        lines = [
            ("family", self.family),
            ("model", self.model),
            ("encoder", f"{self.tensors:,} tensors, {self.parameters:,} parameters"),
            ("head", head),
            ("vocabulary", f"{self.vocabulary:,} tokens"),
        ]
        if self.unnumbered:
            text = f"{self.unnumbered:,} pieces of sp.model have no line in dict.txt: always [UNK]"
            lines.append(("unknown", text))
        for kind, count in self.dropped.items():
            lines.append(("dropped", f"{kind}: {count} tensor{'' if count == 1 else 's'}"))
        if self.skipped_globals:
            names = ", ".join(self.skipped_globals)
            lines.append(("pickled", f"{names}: never run, left out"))
        lines += [("inputs", note) for note in self.notes]
        lines += [("written", str(path)) for path in self.files]
        return "\n".join(f"{name:<12}{printable(text)}" for name, text in lines)


def convert(
    path: Path,
    *,
    to: Path,
    tokenizer: Path | None = None,
    family: str | None = None,
    head: str | None = None,
    head_kind: str | None = None,
    task: str | None = None,
    base_model: str | None = None,
    licence: str | None = None,
) -> Summary:
    """Write a checkpoint as a transformers folder with a model card, completely or not at all.

    Args:
        path: a checkpoint of fairseq, or a folder of AMOS's or COCO-LM's transformers code.
        to: the new folder, absent or empty.
        tokenizer: folder of the tokenizer's files; None: they are beside the checkpoint.
        family: one of FAMILIES; None: it is determined from the tensors.
        head: name of the head to keep; needed if there are several.
        head_kind: what a head with one output does: "choose" or "regress"; None: the arguments of
            training tell it.
        task: the task that a head that chooses was trained on; the folder then records with it what
            prediction needs to know.
        base_model: the hub name of what the training began from, for the model card.
        licence: the Hub's name of the licence, for the model card.

    Raises:
        InputError: a file or an argument is wrong; nothing is written then.
    """
    path, to = Path(path), Path(to)
    _check_options(family, head_kind, task, base_model, licence)
    _check_target(to)
    checkpoint = fairseq_checkpoint.read_checkpoint(path)
    source = weights.describe_checkpoint(checkpoint, family=family, head=head, head_kind=head_kind)
    model, tensors = _match(checkpoint, source)
    config: Any = model.config
    rows = _rows(source, task, checkpoint)
    if task is not None:
        config.raysearch = record_of(task, rows, __version__, base_model)
    new_tokenizer = tokenizer_files.tokenizer(
        source.kind,
        Path(tokenizer) if tokenizer else checkpoint.path.parent,
        rows=config.vocab_size,
        positions=config.max_position_embeddings - (0 if source.kind == "amos" else 2),
    )
    facts = CardFacts(
        checkpoint=checkpoint.path,
        family=source.family,
        model=type(model).__name__,
        parameters=sum(tensor.numel() for tensor in tensors.values()),
        head=source.head,
        settings=source.settings,
        task=task,
        base_model=base_model,
        licence=licence,
        notes=_input_notes(rows, task),
    )
    target_model.write_model_folder(to, model, tensors, new_tokenizer, card(facts))
    return _summary(to, checkpoint, source, facts, new_tokenizer)


def _summary(
    folder: Path,
    checkpoint: fairseq_checkpoint.Checkpoint,
    source: weights.Source,
    facts: CardFacts,
    tokenizer: Any,
) -> Summary:
    """Return what was written into a folder."""
    encoder = [source.tensors[name] for name in source.encoder]
    return Summary(
        family=source.family,
        model=facts.model,
        tensors=len(encoder),
        parameters=sum(tensor.numel() for tensor in encoder),
        head=(*source.head, len(source.table) - len(encoder)) if source.head else None,
        vocabulary=len(tokenizer),
        dropped=dict(source.dropped),
        skipped_globals=checkpoint.skipped_globals,
        files=tuple(sorted(folder.iterdir())),
        unnumbered=getattr(tokenizer, "unnumbered", 0),
        notes=tuple(facts.notes),
    )


def _check_options(
    family: str | None,
    head_kind: str | None,
    task: str | None,
    base_model: str | None,
    licence: str | None,
) -> None:
    """Raise InputError if an option has no valid value; all problems are listed."""
    problems = []
    for location, name, value, known in (
        ("--family", "family", family, FAMILIES),
        ("--head-kind", "kind of head", head_kind, HEAD_KINDS),
    ):
        if value is not None and value not in known:
            problems.append(Problem(location=location, text=unknown_name(name, value, known)))
    for location, value, pattern, example in (
        ("--base-model", base_model, r"[\w.-]+(/[\w.-]+)?", "FacebookAI/roberta-large"),
        ("--licence", licence, r"[a-z0-9][a-z0-9.+-]*", "mit"),
    ):
        if value is not None and not re.fullmatch(pattern, value, re.ASCII):
            text = f"a name of the Hub is needed, such as {example}, got '{shorten(value)}'"
            problems.append(Problem(location=location, text=text))
    try:
        if task is not None:
            check_task(task)
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError("convert", problems)


def _rows(
    source: weights.Source, task: str | None, checkpoint: fairseq_checkpoint.Checkpoint
) -> RankingRows:
    """Return how the rows of a head that chooses were made; of another head nothing.

    Raises:
        InputError: a task is named, and the head does not choose.
    """
    if source.head and source.head[1] == "choose":
        return ranking_rows(source.settings)
    if task is not None:
        text = "only a head that chooses among options has a task; --head-kind choose makes one so"
        raise weights.refusal(checkpoint, [Problem(location="--task", text=text)])
    return RankingRows()


def _input_notes(rows: RankingRows, task: str | None) -> tuple[str, ...]:
    """Return how the inputs of training were made, and how prediction comes to know it."""
    if not rows.settings:
        return rows.notes
    values = ", ".join(f"{name} {value}" for name, value in rows.settings.items())
    text = f"trained with {values}"
    if task is not None:
        return (*rows.notes, f"{text}; config.json records it for `raysearch predict`")
    options = " ".join(f"--set {name}={value}" for name, value in rows.settings.items())
    return (*rows.notes, f"{text}: `convert --task TASK` records it, `evaluate` takes {options}")


def _check_target(folder: Path) -> None:
    """Raise InputError if there is something at the path of the new folder."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()) or _has_files(folder):
        text = f"{folder} is there already; a new or an empty folder would do"
        raise InputError("convert", [Problem(location="--to", text=text)])


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _match(
    checkpoint: fairseq_checkpoint.Checkpoint, source: weights.Source
) -> tuple[PreTrainedModel, dict[str, torch.Tensor]]:
    """Return a model without values, and the parameters that it takes.

    Raises:
        InputError: they do not match; all problems are listed.
    """
    problems = weights.checkpoint_problems(source)
    try:
        head_kind = source.head[1] if source.head else None
        fields = weights.config_fields(source)
        model = target_model.empty_model(source.kind, head_kind, fields)
    except Exception as error:  # foreign shapes: every layer of torch has errors of its own
        problems = problems or [Problem(location="shape", text=first_line(error))]
        raise weights.refusal(checkpoint, problems) from error
    shapes = target_model.parameter_shapes(model, head_kind)
    assert set(shapes) == set(source.table.values()), set(shapes) ^ set(source.table.values())
    problems += weights.shape_problems(source, shapes)
    problems = problems or _size_problems(checkpoint, source) or weights.value_problems(source)
    if problems:
        raise weights.refusal(checkpoint, problems)
    return model, weights.name_weights(source, shapes)


def _size_problems(
    checkpoint: fairseq_checkpoint.Checkpoint, source: weights.Source
) -> list[Problem]:
    """Return a problem if parameters share storage, so that they would outgrow the file."""
    size = sum(x.numel() * x.element_size() for x in source.tensors.values())
    stored = checkpoint.path.stat().st_size
    text = f"the parameters take {size:,} bytes, and the file has {stored:,}: they share storage"
    return [Problem(location="too large", text=text)] if size > stored else []
