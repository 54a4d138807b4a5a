"""The limits of a model's inputs: token types, positions, token ids.

They are read from the built model, without values, so that no family has to be known by its name.
Apart from `pretrained` because checks before a run need them without weights.
"""

import inspect
import logging
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import AutoModel, PreTrainedModel
from transformers.utils import logging as transformers_logging

from ..data.columns import pair_special_tokens, token_types
from ..errors import InputError, Problem
from ..recipes import Hyperparameters
from ..tasks import Task
from .auto_models import ARCHITECTURES, Architectures

ENCODER = Architectures("encodes texts", AutoModel)
NO_LIMIT = 2**20  # tokens that a tokenizer may give if the model has no limit


@dataclass(frozen=True, kw_only=True)
class InputLimits:
    """Limits of a model's inputs.

    Attributes:
        limit: the most tokens of a row, NO_LIMIT for none.
        types: number of token types that it tells apart; 0 or 1 if it reads none.
        words: rows of its word embedding.
        shifted: whether its positions begin after the padding id (RoBERTa).
    """

    limit: int
    types: int
    words: int
    shifted: bool


def find_input_limits(config: Any) -> InputLimits:
    """Return the input limits of the encoder of a transformers configuration.

    A table of absolute positions limits a row to the table's rows, without those that positions
    skip: up to the padding id (RoBERTa), or a fixed number (BART, Nystromformer). Rotary positions
    have no table; they limit a row to the length that the model was trained for,
    `max_position_embeddings`. Relative positions limit nothing.

    Args:
        config: a transformers configuration.

    Raises:
        InputError: transformers has no encoder of this family.
        ValueError: no model can have this configuration; other errors are possible too.
    """
    transformers_logging.set_verbosity(logging.ERROR)
    with torch.device("meta"):
        model = ENCODER.from_config(config, trust_remote_code=False)
    embedding: Any = model.get_input_embeddings()  # some families have a class of their own
    tables = _position_tables(model)
    limits = [rows - _first_row(table) for table, rows in tables]
    if tables:  # DeBERTa has position ids even if no table is looked up with them
        limits += [
            buffer.shape[-1]
            for name, buffer in model.named_buffers()
            if _last_part(name) == "position_ids"
        ]
    if hasattr(config, "longest_sentence"):  # Cross-Thought's positions restart at each sentence
        limits = [config.longest_sentence]
    if not tables and any("rotary" in type(x).__name__.lower() for x in model.modules()):
        limits.append(getattr(config, "max_position_embeddings", None) or NO_LIMIT)
    return InputLimits(
        limit=min([*limits, NO_LIMIT]),
        types=_count_token_types(model, config),
        words=embedding.weight.shape[0],
        shifted=any(_padding_index(table) is not None for table, _ in tables),
    )


def _position_tables(model: torch.nn.Module) -> list[tuple[torch.nn.Module, int]]:
    """Return every table of absolute positions, with its number of rows."""
    tables = []
    for path, module in model.named_modules():
        weight = getattr(module, "weight", None)
        name = _last_part(path)
        is_table = name in ("wpe", "embed_positions") or ("position" in name and "embed" in name)
        if is_table and weight is not None and weight.dim() == 2 and _is_lookup(module):
            tables.append((module, weight.shape[0]))
    return tables


def _is_lookup(module: torch.nn.Module) -> bool:
    """Return whether a module is an embedding; I-BERT's has a class of its own."""
    return isinstance(module, torch.nn.Embedding) or hasattr(module, "padding_idx")


def _padding_index(table: torch.nn.Module) -> int | None:
    return getattr(table, "padding_idx", None)


def _first_row(table: torch.nn.Module) -> int:
    """Return the row of the first token's position."""
    offset = getattr(table, "offset", 0)  # added to every position (BART and similar models)
    padding = _padding_index(table)
    return max(offset if isinstance(offset, int) else 0, 0 if padding is None else padding + 1)


def _count_token_types(model: PreTrainedModel, config: Any) -> int:
    """Return how many token types a model tells apart.

    A model may take `token_type_ids` and look them up in its word embedding (GPT-2, XLM): it has no
    token types of its own.
    """
    if "token_type_ids" not in inspect.signature(model.forward).parameters:
        return 0
    rows = [
        parameter.shape[0]
        for name, parameter in model.named_parameters()
        if "token_type" in name and name.endswith("weight") and parameter.dim() == 2
    ]
    if rows:
        return max(rows)
    # The attention of XLNet and Funnel compares token types for equality; any number is valid.
    relative = any(_last_part(name) == "seg_embed" for name, _ in model.named_parameters())
    return max(3, getattr(config, "type_vocab_size", 3) or 3) if relative else 0


def _last_part(path: str) -> str:
    return path.rpartition(".")[2]


def fit_tokenizer(tokenizer: Any, limits: InputLimits) -> None:
    """Let a tokenizer give the token types that a model reads, and rows within its positions.

    Args:
        tokenizer: changed in place.
        limits: of the model.
    """
    names = [name for name in tokenizer.model_input_names if name != "token_type_ids"]
    if limits.types > 1:
        names.insert(1, "token_type_ids")
    tokenizer.model_input_names = names
    tokenizer.model_max_length = limits.limit


def tokenizer_problems(
    name: str, tokenizer: Any, config: Any, limits: InputLimits
) -> list[Problem]:
    """Return why a model cannot read what a tokenizer gives, whatever the task.

    Args:
        name: the model's name in the study.
        tokenizer: the model's tokenizer.
        config: the model's transformers configuration.
        limits: of the model.
    """
    texts = []
    pad = tokenizer.pad_token_id
    if pad is None:
        texts.append(
            f"the tokenizer of '{name}' has no padding token, so that a batch cannot hold texts of "
            "several lengths; set pad_token in its tokenizer_config.json to a token of its own"
        )
    highest = max(tokenizer.get_vocab().values(), default=0)
    if highest >= limits.words:
        texts.append(
            f"the tokenizer of '{name}' has tokens up to id {highest}, the model's embedding has "
            f"{limits.words} rows; resize_token_embeddings({highest + 1}) and saving it again, or "
            "the tokenizer of this model, would do"
        )
    if limits.types > 1 and (types := token_types(tokenizer)).highest >= limits.types:
        texts.append(
            f"the tokenizer of '{name}' gives token type {types.highest}, the model has "
            f"{limits.types} token types; the tokenizer of this model would do"
        )
    model_pad = getattr(config, "pad_token_id", None)
    if pad is not None and limits.shifted and model_pad != pad:
        texts.append(
            f"the tokenizer of '{name}' pads with id {pad}, the model's positions begin behind its "
            f"pad_token_id {model_pad}; config.json and tokenizer need the same one"
        )
    return [Problem(location="model", text=text) for text in texts]


def task_problems(
    name: str,
    tokenizer: Any,
    config: Any,
    limits: InputLimits,
    task: Task,
    hyper: Hyperparameters | None,
) -> list[Problem]:
    """Return why a model cannot be trained on a task: its head, its lengths, its special tokens.

    Args:
        name: the model's name in the study.
        tokenizer: the model's tokenizer.
        config: the model's transformers configuration.
        limits: of the model.
        task: what to train on.
        hyper: the task's hyperparameters. A `max_length` that is not set explicitly is no problem,
            as it is cut to what the model reads.
    """
    problems = []
    try:
        ARCHITECTURES[task.head][type(config)]
    except InputError as error:
        prefix = f"'{name}' cannot be trained on {task.name}: "
        problems += [replace(problem, text=prefix + problem.text) for problem in error.problems]
    problem = length_problem(name, task, hyper, limits.limit)
    if problem and not hasattr(config, "longest_sentence"):  # the limit of each sentence, not row
        problems.append(problem)
    if text := _special_tokens_problem(tokenizer, task):
        problems.append(Problem(location="model", text=f"the tokenizer of '{name}' {text}"))
    return problems


def length_problem(
    name: str, task: Task, hyper: Hyperparameters | None, limit: int
) -> Problem | None:
    """Return the problem of a study that asks for longer rows than a model has positions for.

    Args:
        name: the model's name in the study.
        task: what to train on.
        hyper: the task's hyperparameters; only a `max_length` that is set explicitly is checked.
        limit: the most tokens of a row.
    """
    if hyper is None or "max_length" not in hyper.model_fields_set:
        return None
    if task.facts.joins_examples or hyper.max_length <= limit:
        return None
    text = f"{task.name}: '{name}' has positions for {limit} tokens, got {hyper.max_length}"
    return Problem(location="max_length", text=f"{text}; {limit} or fewer would do")


def _special_tokens_problem(tokenizer: Any, task: Task) -> str:
    """Return which special tokens of a tokenizer a task's texts lack; "" if they lack none."""
    begin, middle, end = pair_special_tokens(tokenizer)
    if task.reads_pairs and not middle:
        return (
            f"puts no separator between two texts, which {task.name} needs; a template with one "
            "(post_processor in tokenizer.json) would do"
        )
    if task.facts.masks_tokens and (tokenizer.mask_token_id is None or not begin):
        return (
            f"has no mask token, or puts none before a text, and {task.name} needs both; the "
            "tokenizer of Cross-Thought would do"
        )
    cls = getattr(tokenizer, "cls_token_id", None)
    if cls is not None and not begin and cls not in end:
        return (
            f"has the token {tokenizer.cls_token}, and its template does not put it into a row; a "
            "template with it (post_processor in tokenizer.json) would do"
        )
    return ""
