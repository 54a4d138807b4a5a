"""What a model reads, found in the built model: token types, positions, token ids. A model is built
without values for that, so that no family has to be known by its name."""

import inspect
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import AutoModel
from transformers.utils import logging

from ..data.columns import pair_special_tokens, token_types
from ..errors import InputError, Problem
from ..recipes import Hyperparameters
from ..tasks import Task
from .auto_classes import Architectures
from .heads import HEADS

ENCODER = Architectures("encodes texts", AutoModel)
NO_LIMIT = 2**20  # tokens that a tokenizer may give where the model has no limit


@dataclass(frozen=True, kw_only=True)
class InputLimits:
    """What a model reads.

    Attributes:
        limit: the most tokens of a row, NO_LIMIT for none.
        types: token types that it tells apart; 0 or 1 where it reads none.
        words: rows of its word embedding.
        shifted: whether its positions begin behind the padding id (RoBERTa).
    """

    limit: int
    types: int
    words: int
    shifted: bool


def find_input_limits(config: Any) -> InputLimits:
    """Return what the encoder of a transformers configuration reads.

    A table of absolute positions limits a row to its rows, without those that positions skip:
    up to the padding id (RoBERTa), or a fixed number (BART, Nystromformer). Rotary positions have
    no table; they limit a row to the length that the model was trained for,
    `max_position_embeddings`. Relative positions limit nothing.

    Raises:
        ValueError and others: no model can have this configuration.
    """
    logging.set_verbosity_error()
    with torch.device("meta"):
        model = ENCODER.from_config(config, trust_remote_code=False)
    tables = _position_tables(model)
    limits = [rows - _first_position(table) for table, rows in tables]
    if tables:  # DeBERTa has places even where nothing is looked up for them
        limits += [x.shape[-1] for name, x in model.named_buffers() if _is(name, "position_ids")]
    if hasattr(config, "longest_sentence"):  # Cross-Thought's positions begin anew in each
        limits = [config.longest_sentence]
    if not tables and any("rotary" in type(x).__name__.lower() for x in model.modules()):
        limits.append(getattr(config, "max_position_embeddings", None) or NO_LIMIT)
    return InputLimits(
        limit=min([*limits, NO_LIMIT]),
        types=_token_types(model, config),
        words=model.get_input_embeddings().weight.shape[0],
        shifted=any(_padding(table) is not None for table, _ in tables),
    )


def _position_tables(model: torch.nn.Module) -> list[tuple[torch.nn.Module, int]]:
    """Every table of absolute positions, and its rows."""
    tables = []
    for name, module in model.named_modules():
        weight = getattr(module, "weight", None)
        own = name.rpartition(".")[2]
        is_table = own in ("wpe", "embed_positions") or ("position" in own and "embed" in own)
        if is_table and weight is not None and weight.dim() == 2 and _looks_up(module):
            tables.append((module, weight.shape[0]))
    return tables


def _looks_up(module: torch.nn.Module) -> bool:
    """Whether a module holds rows that are looked up; I-BERT's are of a class of its own."""
    return isinstance(module, torch.nn.Embedding) or hasattr(module, "padding_idx")


def _padding(table: torch.nn.Module) -> int | None:
    return getattr(table, "padding_idx", None)


def _first_position(table: torch.nn.Module) -> int:
    """The row of the first token's position."""
    offset = getattr(table, "offset", 0)  # BART and its kin add it to every position
    padding = _padding(table)
    return max(offset if isinstance(offset, int) else 0, 0 if padding is None else padding + 1)


def _token_types(model: torch.nn.Module, config: Any) -> int:
    """How many token types a model tells apart.

    A model may take `token_type_ids` and look them up among its words (GPT-2, XLM): it has no
    token types of its own.
    """
    if "token_type_ids" not in inspect.signature(model.forward).parameters:
        return 0
    rows = [p.shape[0] for name, p in model.named_parameters()
            if "token_type" in name and name.endswith("weight") and p.dim() == 2]  # fmt: skip
    if rows:
        return max(rows)
    # XLNet's and Funnel's attention tells the same segment from another one, whatever its number.
    relative = any(_is(name, "seg_embed") for name, _ in model.named_parameters())
    return max(3, getattr(config, "type_vocab_size", 3) or 3) if relative else 0


def _is(name: str, wanted: str) -> bool:
    return name.rpartition(".")[2] == wanted


def fit_tokenizer(tokenizer: Any, inputs: InputLimits) -> None:
    """Let a tokenizer give what a model reads: its token types, and rows within its positions."""
    names = [name for name in tokenizer.model_input_names if name != "token_type_ids"]
    if inputs.types > 1:
        names.insert(1, "token_type_ids")
    tokenizer.model_input_names = names
    tokenizer.model_max_length = inputs.limit


def tokenizer_problems(
    name: str, tokenizer: Any, config: Any, inputs: InputLimits
) -> list[Problem]:
    """Return why a model cannot read what a tokenizer gives, whatever the task.

    Args:
        name: of the model, as a study has it.
    """
    texts = []
    pad = tokenizer.pad_token_id
    if pad is None:
        texts.append(
            f"the tokenizer of '{name}' has no padding token, so that a batch cannot hold texts of "
            "several lengths; set pad_token in its tokenizer_config.json to a token of its own"
        )
    highest = max(tokenizer.get_vocab().values(), default=0)
    if highest >= inputs.words:
        texts.append(
            f"the tokenizer of '{name}' has tokens up to id {highest}, the model's embedding has "
            f"{inputs.words} rows; resize_token_embeddings({highest + 1}) and saving it again, or "
            "the tokenizer of this model, would do"
        )
    if inputs.types > 1 and (types := token_types(tokenizer)).highest >= inputs.types:
        texts.append(
            f"the tokenizer of '{name}' gives token type {types.highest}, the model has "
            f"{inputs.types} token types; the tokenizer of this model would do"
        )
    own = getattr(config, "pad_token_id", None)
    if pad is not None and inputs.shifted and own != pad:
        texts.append(
            f"the tokenizer of '{name}' pads with id {pad}, the model's positions begin behind its "
            f"pad_token_id {own}; config.json and tokenizer need the same one"
        )
    return [Problem(location="model", text=text) for text in texts]


def task_problems(
    name: str,
    tokenizer: Any,
    config: Any,
    inputs: InputLimits,
    task: Task,
    hyper: Hyperparameters | None,
) -> list[Problem]:
    """Return why a model cannot be trained on a task: its head, its lengths, its special tokens.

    Args:
        name: of the model, as a study has it.
        hyper: a `max_length` that is not set counts as none: it is cut to what the model reads.
    """
    problems = []
    try:
        HEADS[task.head]._model_mapping[type(config)]
    except InputError as error:
        of = f"'{name}' cannot be trained on {task.name}: "
        problems += [replace(p, text=of + p.text) for p in error.problems]
    problem = length_problem(name, task, hyper, inputs.limit)
    if problem and not hasattr(config, "longest_sentence"):  # there each sentence has its limit
        problems.append(problem)
    if text := _unmarked(tokenizer, task):
        problems.append(Problem(location="model", text=f"the tokenizer of '{name}' {text}"))
    return problems


def length_problem(
    name: str, task: Task, hyper: Hyperparameters | None, limit: int
) -> Problem | None:
    """Return that a study asks for longer rows than a model has positions for."""
    asked = hyper is not None and "max_length" in hyper.model_fields_set
    if not asked or task.head == "thought" or hyper.max_length <= limit:
        return None
    text = f"{task.name}: '{name}' has positions for {limit} tokens, got {hyper.max_length}"
    return Problem(location="max_length", text=f"{text}; {limit} or fewer would do")


def _unmarked(tokenizer: Any, task: Task) -> str:
    """Why a task's texts cannot be marked with a tokenizer's special tokens; "" where they can."""
    begin, middle, end = pair_special_tokens(tokenizer)
    pairs = task.head in ("span", "choose") or (
        task.head in ("classify", "regress") and len(task.inputs) > 1
    )
    if pairs and not middle:
        return (
            f"puts no separator between two texts, which {task.name} needs; a template with one "
            "(post_processor in tokenizer.json) would do"
        )
    if task.head == "thought" and (tokenizer.mask_token_id is None or not begin):
        return (
            f"has no mask token, or puts none before a text, and {task.name} needs both; the "
            "tokenizer of Cross-Thought would do"
        )
    own = getattr(tokenizer, "cls_token_id", None)
    if own is not None and not begin and own not in end:
        return (
            f"has the token {tokenizer.cls_token}, and its template does not put it into a row; a "
            "template with it (post_processor in tokenizer.json) would do"
        )
    return ""
