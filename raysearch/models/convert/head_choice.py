"""The head of a checkpoint that is kept, and what it does.

It is apart from `weights` because the tensors alone do not tell it: fairseq gives a head that rates
texts (STS-B) and one that ranks options (RACE) the same names and shapes.
"""

from collections.abc import Mapping
from typing import Any

import torch

from ...errors import InputError, Problem, unknown_name
from . import parameter_names
from .fairseq_checkpoint import Checkpoint

# What a head with one output does, by the name of raysearch's head -> its kind here.
HEAD_KINDS = {"choose": "choose", "regress": "classify"}
# Of fairseq's training: the criterion, and the tasks that need it, whose head ranks options.
RANKING_CRITERION = "sentence_ranking"
RANKING_TASKS = ("sentence_ranking", "commonsense_qa")
_RATING = "sentence_prediction"  # the criterion and the task of classes and numbers


def choose_head(
    checkpoint: Checkpoint,
    family: str,
    tensors: Mapping[str, torch.Tensor],
    *,
    hub: bool,
    name: str | None,
    head_kind: str | None,
) -> tuple[str, str] | None:
    """Return name and kind of the head to keep; None if there is none.

    It is the named one, or the only one of a task, or else the one of masked words.

    Args:
        checkpoint: its arguments of training are read.
        family: one of `parameter_names.FAMILIES`.
        tensors: by their names in fairseq's spelling.
        hub: whether the file has the names of transformers.
        name: the head that the user names.
        head_kind: what a head with one output does, one of HEAD_KINDS; None: as it was trained.

    Raises:
        InputError: there is no head of this name, or several and no name; or the arguments do not
            tell what the head does.
    """
    heads = parameter_names.heads(tensors)
    if family in parameter_names.RELATIVE:
        heads = {name: kind for name, kind in heads.items() if kind != "masked"}
    if name is not None:
        if name not in heads:
            text = unknown_name("head", name, heads) if heads else "it has no head"
            raise _refusal(checkpoint, "--head", text)
        chosen = name
    else:
        candidates = [name for name, kind in heads.items() if kind != "masked"] or list(heads)
        if len(candidates) > 1:
            text = f"a folder holds one head; --head names one of: {', '.join(candidates)}"
            raise _refusal(checkpoint, "--head", text)
        if not candidates:
            if head_kind is not None:
                raise _refusal(checkpoint, "--head-kind", "it has no head")
            return None
        chosen = candidates[0]
    output = tensors.get(f"classification_heads.{chosen}.out_proj.weight")
    outputs = len(output) if output is not None and output.dim() == 2 else None
    if heads[chosen] != "classify" or outputs != 1:
        if head_kind is not None:
            has = f"{outputs} outputs" if outputs else "no single output"
            text = f"the head '{chosen}' has {has}: what it does is plain without --head-kind"
            raise _refusal(checkpoint, "--head-kind", text)
        return chosen, heads[chosen]
    kind = HEAD_KINDS[head_kind] if head_kind else _trained_kind(checkpoint.settings, hub=hub)
    if kind is None:
        text = f"the head '{chosen}' has one output, and the arguments of training do not tell what"
        text += " it does: --head-kind choose (it ranks options, as in RACE) or --head-kind regress"
        raise _refusal(checkpoint, "--head-kind", f"{text} (it rates texts, as in STS-B) would do")
    return chosen, kind


def is_ranking(settings: Mapping[str, Any]) -> bool:
    """Return whether the arguments of training are those of a head that ranks options."""
    return settings.get("criterion") == RANKING_CRITERION or settings.get("task") in RANKING_TASKS


def _trained_kind(settings: Mapping[str, Any], *, hub: bool) -> str | None:
    """Return the kind of a head with one output by the arguments of training; None if unknown."""
    if is_ranking(settings):
        return "choose"
    rates = _RATING in (settings.get("criterion"), settings.get("task"))
    # The transformers code of AMOS and COCO-LM has no head that chooses.
    return "classify" if hub or rates or settings.get("regression_target") is True else None


def _refusal(checkpoint: Checkpoint, location: str, text: str) -> InputError:
    return InputError(str(checkpoint.path), [Problem(location=location, text=text)])
