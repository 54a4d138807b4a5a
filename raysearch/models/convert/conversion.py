"""The conversion of a fairseq checkpoint into a transformers folder, and its summary.

The families are AMOS, COCO-LM, RoBERTa, XLM-R and Cross-Thought; a checkpoint's family is
determined from its tensors. Code that a file pickles is not run. It is apart from the steps of the
conversion because it combines them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from ...errors import InputError, Problem, first_line, printable, unknown_name
from . import fairseq_checkpoint, target_model, tokenizer_files, weights
from .parameter_names import FAMILIES


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
        lines += [("written", str(path)) for path in self.files]
        return "\n".join(f"{name:<12}{printable(text)}" for name, text in lines)


def convert(
    path: Path,
    *,
    to: Path,
    tokenizer: Path | None = None,
    family: str | None = None,
    head: str | None = None,
) -> Summary:
    """Write a checkpoint as a transformers folder, completely or not at all.

    Args:
        path: a checkpoint of fairseq, or a folder of AMOS's or COCO-LM's transformers code.
        to: the new folder, absent or empty.
        tokenizer: folder of the tokenizer's files; None: they are beside the checkpoint.
        family: one of FAMILIES; None: it is determined from the tensors.
        head: name of the head to keep; needed if there are several.

    Raises:
        InputError: a file or an argument is wrong; nothing is written then.
    """
    path, to = Path(path), Path(to)
    if family is not None and family not in FAMILIES:
        text = unknown_name("family", family, FAMILIES)
        raise InputError("convert", [Problem(location="--family", text=text)])
    _check_target(to)
    checkpoint = fairseq_checkpoint.read_checkpoint(path)
    source = weights.describe_checkpoint(checkpoint, family=family, head=head)
    model, tensors = _match(checkpoint, source)
    config: Any = model.config
    new_tokenizer = tokenizer_files.tokenizer(
        source.kind,
        Path(tokenizer) if tokenizer else checkpoint.path.parent,
        rows=config.vocab_size,
        positions=config.max_position_embeddings - (0 if source.kind == "amos" else 2),
    )
    target_model.write_model_folder(to, model, tensors, new_tokenizer)
    encoder = [source.tensors[name] for name in source.encoder]
    return Summary(
        family=source.family,
        model=type(model).__name__,
        tensors=len(encoder),
        parameters=sum(tensor.numel() for tensor in encoder),
        head=(*source.head, len(source.table) - len(encoder)) if source.head else None,
        vocabulary=config.vocab_size,
        dropped=dict(source.dropped),
        skipped_globals=checkpoint.skipped_globals,
        files=tuple(sorted(to.iterdir())),
        unnumbered=getattr(new_tokenizer, "unnumbered", 0),
    )


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
    shapes = target_model.parameter_shapes(model)
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
