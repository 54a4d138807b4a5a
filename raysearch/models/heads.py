"""Heads on an encoder: transformers' own, and what they lack, put into the model in its place.

Of tags: one output a word instead of a token. Of spans: log-probabilities in which padding has no
part, and the conditional head of XLNet, ELECTRA and GluonNLP. A head that is put in goes by the
model's configuration, field `raysearch`, so that a saved folder tells which one it holds."""

from collections.abc import Mapping
from types import MethodType, SimpleNamespace
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import (
    AutoConfig,
    AutoModelForMaskedLM,
    AutoModelForMultipleChoice,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from ..errors import InputError, Problem
from ..recipes import Hyperparameters
from ..recipes.consistency_losses import MASKED_SCORE
from .auto_classes import Architectures
from .sequence_summary import summarize_real_tokens

HEADS = {
    "classify": Architectures("classifies texts", AutoModelForSequenceClassification),
    "regress": Architectures("rates texts", AutoModelForSequenceClassification),
    "choose": Architectures(
        "chooses among options", AutoModelForMultipleChoice, AutoModelForSequenceClassification
    ),
    "tag": Architectures("tags words", AutoModelForTokenClassification),
    "span": Architectures("finds answers in a text", AutoModelForQuestionAnswering),
    "thought": Architectures("predicts masked words", AutoModelForMaskedLM),
}
WIDTH = 768  # GluonNLP's, whatever the encoder's own
CLASSIFIER_DROPOUTS = (
    "classifier_dropout", "classifier_dropout_prob", "cls_dropout", "summary_last_dropout",
)  # fmt: skip


def build_model(config: Mapping[str, Any], head: str) -> nn.Module:
    """Return the model of a configuration with a task's head, its weights as constructed.

    Args:
        config: transformers' configuration as a dict.
        head: the task's head.
    """
    shape = AutoConfig.for_model(**config)
    model = HEADS[head].from_config(shape, dtype=torch.float32, trust_remote_code=False)
    attach_head(model, head)
    return model


def head_config(head: str, hyper: Hyperparameters) -> dict[str, str]:
    """What a study chooses of a head: the value of the configuration's field `raysearch`."""
    chosen = {"tag": {"pooling": hyper.pooling}, "span": {"span_head": hyper.span_head}}
    return chosen.get(head, {})


def attach_head(model: nn.Module, head: str) -> None:
    """Give a transformers model the forward pass that its head's losses and decoders read."""
    chosen = getattr(model.config, "raysearch", None) or {}
    summarize_real_tokens(model)
    if head == "tag":
        _put_words(model, chosen.get("pooling") == "sum")
    elif head == "span":
        if chosen.get("span_head") == "conditional":
            _check_conditional(model)
            shares = (getattr(model.config, name, None) for name in CLASSIFIER_DROPOUTS)
            share = next((p for p in shares if p is not None), 0.1)
            model.qa_outputs = ConditionalSpanHead(model.config.hidden_size, share)
            model.forward = MethodType(_conditional, model)
        else:
            model.forward = MethodType(_plain, model)


def _check_conditional(model: nn.Module) -> None:
    """Raises InputError where the conditional head cannot stand on a model's encoder."""
    if model.base_model is model:
        text = f"the conditional head does not fit {type(model).__name__}: plain would do"
        raise _unfit("span_head", text)


def _unfit(field: str, text: str) -> InputError:
    return InputError("model", [Problem(location=field, text=text)])


def _put_words(model: nn.Module, pooled: bool) -> None:
    """Let the model give [examples, words, tags]: each word by its first token, which holds the sum
    of the word's tokens where they are pooled, before the head's dropout (XTREME, UD-POS)."""
    place: dict[str, torch.Tensor] = {}

    def pool(_: nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        hidden, (first, word) = given[0], (place["first"], place["word"])
        home = first.gather(1, word.clamp(min=0))[..., None].expand_as(hidden)
        inside = hidden * (word >= 0)[..., None]
        return (torch.zeros_like(hidden).scatter_add(1, home, inside), *given[1:])

    def forward(model: Any, *, word: torch.Tensor, **inputs: Any) -> SimpleNamespace:
        place.update(first=_first_tokens(word), word=word)
        logits = type(model).forward(model, **inputs).logits
        index = place["first"][..., None].expand(-1, -1, logits.shape[-1])
        return SimpleNamespace(logits=logits.gather(1, index))

    if pooled:
        parts = (getattr(model, name, None) for name in ("dropout", "drop", "classifier"))
        before = next((part for part in parts if isinstance(part, nn.Module)), None)
        if before is None:
            text = f"{type(model).__name__} has no place to sum a word's tokens before its head"
            raise _unfit("pooling", f"{text}: pooling first would do")
        before.register_forward_pre_hook(pool)
    model.forward = MethodType(forward, model)


def _first_tokens(word: torch.Tensor) -> torch.Tensor:
    """[examples, tokens] of word places -> [examples, words] of each word's first token."""
    before = functional.pad(word[:, :-1], (1, 0), value=-1)
    example, token = ((word >= 0) & (word != before)).nonzero(as_tuple=True)
    first = word.new_zeros(len(word), int(word.max()) + 1)
    first[example, word[example, token]] = token
    return first


def _spots(inputs: dict[str, Any], at: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
    """[examples, tokens]: the context's tokens."""
    place = torch.arange(inputs["input_ids"].shape[1], device=at.device)[None, :]
    return (place >= at[:, None]) & (place < (at + count)[:, None])


def _nowhere(inputs: dict[str, Any], at: torch.Tensor) -> torch.Tensor:
    """Take the place that stands for no answer out of a batch: the first token, or the last of
    XLNet's rows. Gold places of no answer become it. int64 [examples]."""
    nowhere = inputs.pop("nowhere", None)
    if nowhere is None:
        return torch.zeros_like(at, dtype=torch.int64)
    nowhere = nowhere.long()
    for name in ("start", "end"):
        if inputs.get(name) is not None:  # no row without a first special token answers at 0
            inputs[name] = torch.where(inputs[name] == 0, nowhere, inputs[name])
    return nowhere


def _gold(inputs: dict[str, Any]) -> dict[str, Any]:
    """Take the gold answers out of a batch."""
    return {name: inputs.pop(name, None) for name in ("start", "end", "impossible")}


def _plain(model: Any, *, at: Any, count: Any, **inputs: Any) -> SimpleNamespace:
    """Start and end scores of each token (BERT): float32 [examples, tokens], padding apart.

    `context` tells the tokens that an answer may hold, `scores` are start and end before padding
    was taken out.
    """
    nowhere, gold = _nowhere(inputs, at), _gold(inputs)
    said = type(model).forward(model, **inputs)
    real = inputs["attention_mask"].bool()
    scores = _precise(said.start_logits), _precise(said.end_logits)
    start, end = (x.masked_fill(~real, MASKED_SCORE) for x in scores)
    return SimpleNamespace(
        start=start, end=end, scores=scores, context=_spots(inputs, at, count), gold=gold,
        nowhere=nowhere,
    )  # fmt: skip


def _conditional(model: Any, *, at: Any, count: Any, **inputs: Any) -> SimpleNamespace:
    """Log-probabilities of the start, of the end given the gold start, and of having no answer.

    `ends` gives those of the end for any starts: [examples, starts] -> [examples, starts, tokens].
    """
    nowhere, gold = _nowhere(inputs, at), _gold(inputs)
    hidden = model.base_model(**inputs)[0]
    context = _spots(inputs, at, count)
    allowed = context.scatter(1, nowhere[:, None], True)
    head = model.qa_outputs
    start = head.starts(hidden, allowed)

    def ends(starts: torch.Tensor) -> torch.Tensor:
        return head.ends(hidden, starts, allowed)

    end = None if gold["start"] is None else ends(gold["start"][:, None])[:, 0]
    return SimpleNamespace(
        start=start, end=end, ends=ends, context=context, gold=gold,
        answerable=head.answerable(hidden, start, nowhere), nowhere=nowhere,
    )  # fmt: skip


class ConditionalSpanHead(nn.Module):
    """Start; end given start; whether there is an answer (Yang et al., 2019; GluonNLP).

    Args:
        size: the encoder's width.
        dropout: before the answerability's last layer.
    """

    def __init__(self, size: int, dropout: float) -> None:
        super().__init__()
        self.start = nn.Linear(size, 1)
        self.end_inner, self.end_norm = nn.Linear(2 * size, WIDTH), nn.LayerNorm(WIDTH, eps=1e-12)
        self.end = nn.Linear(WIDTH, 1)
        self.answer_inner, self.answer = nn.Linear(2 * size, WIDTH), nn.Linear(WIDTH, 2)
        self.dropout = nn.Dropout(dropout)

    def starts(self, hidden: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
        """[examples, tokens]: log p(start)."""
        return _log_softmax(self.start(hidden)[..., 0], allowed)

    def ends(
        self, hidden: torch.Tensor, starts: torch.Tensor, allowed: torch.Tensor
    ) -> torch.Tensor:
        """[examples, starts, tokens]: log p(end | start), for token places [examples, starts]."""
        index = starts[..., None].expand(-1, -1, hidden.shape[-1])
        begin = hidden.gather(1, index)[:, :, None].expand(-1, -1, hidden.shape[1], -1)
        both = torch.cat([begin, hidden[:, None].expand_as(begin)], -1)
        scores = self.end(self.end_norm(torch.tanh(self.end_inner(both))))[..., 0]
        return _log_softmax(scores, allowed[:, None])

    def answerable(
        self, hidden: torch.Tensor, start: torch.Tensor, nowhere: torch.Tensor
    ) -> torch.Tensor:
        """[examples, 2]: log p(there is an answer), log p(there is none).

        Args:
            hidden: [examples, tokens, width].
            start: log p(start), [examples, tokens].
            nowhere: int64 [examples], the place of the token that stands for no answer.
        """
        seen = torch.einsum("bt,btc->bc", start.exp().to(hidden.dtype), hidden)
        none = hidden[torch.arange(len(hidden), device=hidden.device), nowhere]
        inner = torch.tanh(self.answer_inner(torch.cat([seen, none], -1)))
        return functional.log_softmax(_precise(self.answer(self.dropout(inner))), -1)


def _log_softmax(scores: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
    return functional.log_softmax(_precise(scores).masked_fill(~allowed, MASKED_SCORE), -1)


def _precise(x: torch.Tensor) -> torch.Tensor:
    """At least float32."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
