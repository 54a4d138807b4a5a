"""Checkpoints of fairseq as transformers folders: AMOS, COCO-LM, RoBERTa, XLM-R, Cross-Thought.
Told from the tensors alone; nothing that a file pickles is run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import InputError, Problem, printable, unknown_name
from . import fairseq_checkpoint, target_model, tokenizer_files, weights
from .parameter_names import FAMILIES


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What became of a checkpoint; as text, what the command prints.

    Attributes:
        family: one of FAMILIES.
        model: the class that the folder loads as.
        tensors, parameters: of the encoder.
        head: name, kind and number of tensors of the head, if there is one.
        vocabulary: tokens.
        unnumbered: pieces of a SentencePiece model that are no token: they become the unknown one.
        dropped: what was left out -> how many tensors.
        set_aside: pickled classes and functions that were not run.
        files: what was written.
    """

    family: str
    model: str
    tensors: int
    parameters: int
    head: tuple[str, str, int] | None
    vocabulary: int
    dropped: dict[str, int]
    set_aside: tuple[str, ...]
    files: tuple[Path, ...]
    unnumbered: int = 0

    def __str__(self) -> str:
        head = "{} ({}), {} tensors".format(*self.head) if self.head else "none"
        dropped = [
            f"{what}: {count} tensor{'' if count == 1 else 's'}"
            for what, count in self.dropped.items()
        ]
        unknown = f"{self.unnumbered:,} pieces of sp.model have no line in dict.txt: always [UNK]"
        lines = [
            ("family", self.family),
            ("model", self.model),
            ("encoder", f"{self.tensors:,} tensors, {self.parameters:,} parameters"),
            ("head", head),
            ("vocabulary", f"{self.vocabulary:,} tokens"),
            *((("unknown", unknown),) if self.unnumbered else ()),
            *(("dropped", text) for text in dropped),
            *(
                (("pickled", f"{', '.join(self.set_aside)}: never run, left out"),)
                if self.set_aside
                else ()
            ),
            *(("written", str(path)) for path in self.files),
        ]
        return "\n".join(f"{name:<12}{printable(text)}" for name, text in lines)


def convert(
    path: Path,
    *,
    to: Path,
    tokenizer: Path | None = None,
    family: str | None = None,
    head: str | None = None,
) -> Summary:
    """Write a checkpoint as a transformers folder, whole or not at all.

    Args:
        path: a checkpoint of fairseq, or a folder of AMOS's or COCO-LM's transformers code.
        to: the folder, absent or empty.
        tokenizer: folder of its tokenizer's files; without one, they are beside the checkpoint.
        family: one of FAMILIES, instead of what the tensors tell.
        head: the name of the head to keep, where there are several.

    Raises:
        InputError: whatever is wrong with the files; nothing is written then.
    """
    path, to = Path(path), Path(to)
    if family is not None and family not in FAMILIES:
        text = unknown_name("family", family, FAMILIES)
        raise InputError("convert", [Problem(location="--family", text=text)])
    _refuse_taken(to)
    read = fairseq_checkpoint.read_checkpoint(path)
    source = weights.describe_checkpoint(read, family=family, head=head)
    model, arrays = _matched(read, source)
    config = model.config
    words = tokenizer_files.tokenizer(
        source.kind,
        Path(tokenizer) if tokenizer else read.path.parent,
        rows=config.vocab_size,
        positions=config.max_position_embeddings - (0 if source.kind == "amos" else 2),
    )
    target_model.write_model_folder(to, model, arrays, words)
    encoder = [source.tensors[name] for name in source.encoder]
    return Summary(
        family=source.family,
        model=type(model).__name__,
        tensors=len(encoder),
        parameters=sum(tensor.numel() for tensor in encoder),
        head=(*source.head, len(source.table) - len(encoder)) if source.head else None,
        vocabulary=config.vocab_size,
        dropped=dict(source.dropped),
        set_aside=read.set_aside,
        files=tuple(sorted(to.iterdir())),
        unnumbered=getattr(words, "unnumbered", 0),
    )


def _refuse_taken(folder: Path) -> None:
    """Raise InputError where a folder cannot be written as a new one."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()) or _has_files(folder):
        text = f"{folder} is there already; a new or an empty folder would do"
        raise InputError("convert", [Problem(location="--to", text=text)])


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _matched(
    read: fairseq_checkpoint.Checkpoint, source: weights.Source
) -> tuple[Any, dict[str, Any]]:
    """A model without values, and the parameters it takes. Raises InputError with all problems."""
    problems = weights.checkpoint_problems(source)
    try:
        kind = source.head[1] if source.head else None
        model = target_model.empty_model(source.kind, kind, weights.config_fields(source))
    except Exception as error:  # foreign shapes: every layer of torch has its own kind of error
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        problems = problems or [Problem(location="shape", text=first)]
    else:
        shapes = target_model.parameter_shapes(model)
        assert set(shapes) == set(source.table.values()), set(shapes) ^ set(source.table.values())
        problems += weights.shape_problems(source, shapes)
    problems = problems or _wrong_size(read, source) or weights.value_problems(source)
    if problems:
        raise weights.refusal(read, problems)
    return model, weights.name_weights(source, shapes)


def _wrong_size(read: fairseq_checkpoint.Checkpoint, source: weights.Source) -> list[Problem]:
    """Return a problem where parameters share storage, so that together they outgrow the file."""
    size = sum(x.numel() * x.element_size() for x in source.tensors.values())
    stored = read.path.stat().st_size
    text = f"the parameters take {size:,} bytes, and the file has {stored:,}: they share storage"
    return [Problem(location="too large", text=text)] if size > stored else []
