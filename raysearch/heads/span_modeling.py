"""The forward passes of span heads: start and end scores, or the end given the start.

Plain heads give scores without padding. The conditional head of XLNet, ELECTRA and GluonNLP, which
transformers lacks, gives log-probabilities. The module is apart from `question_answering`, which
decodes and scores what these passes give.
"""

from types import MethodType, SimpleNamespace
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from ..data.columns import CONTEXT_LENGTH, CONTEXT_START, END, IMPOSSIBLE, NO_ANSWER_POSITION, START
from ..errors import InputError, Problem
from ..recipes.consistency_losses import MASKED_SCORE

WIDTH = 768  # of the conditional head's inner layers in GluonNLP, for encoders of any width
CLASSIFIER_DROPOUTS = (
    "classifier_dropout",
    "classifier_dropout_prob",
    "cls_dropout",
    "summary_last_dropout",
)


def attach_span_head(model: Any) -> None:
    """Give a transformers model the forward pass of a plain span head.

    Args:
        model: changed in place.
    """
    model.forward = MethodType(_span_forward, model)


def attach_conditional_head(model: Any) -> None:
    """Replace the span head of a transformers model by a conditional one.

    Args:
        model: changed in place.

    Raises:
        InputError: the model has no separate encoder to put the head on.
    """
    if model.base_model is model:
        text = f"the conditional head does not fit {type(model).__name__}: plain would do"
        raise InputError("model", [Problem(location="span_head", text=text)])
    rates = (getattr(model.config, name, None) for name in CLASSIFIER_DROPOUTS)
    rate = next((value for value in rates if value is not None), 0.1)
    model.qa_outputs = ConditionalSpanHead(model.config.hidden_size, rate)
    model.forward = MethodType(_conditional_span_forward, model)


def _pop_context(inputs: dict[str, Any]) -> torch.Tensor:
    """Take the context's span out of a batch; return its mask, bool [examples, tokens]."""
    start: torch.Tensor = inputs.pop(CONTEXT_START)
    length: torch.Tensor = inputs.pop(CONTEXT_LENGTH)
    positions = torch.arange(inputs["input_ids"].shape[1], device=start.device)[None, :]
    return (positions >= start[:, None]) & (positions < (start + length)[:, None])


def _pop_no_answer(inputs: dict[str, Any], examples: int, device: torch.device) -> torch.Tensor:
    """Take the position that stands for "no answer" out of a batch; return it, int64 [examples].

    It is the first token, or the last one in XLNet's rows. Gold positions of unanswerable questions
    are set to it.
    """
    values = inputs.pop(NO_ANSWER_POSITION, None)
    if values is None:
        return torch.zeros(examples, dtype=torch.int64, device=device)
    no_answer: torch.Tensor = values.long()
    for name in (START, END):
        if inputs.get(name) is not None:  # such rows have no first special token to answer at 0
            inputs[name] = torch.where(inputs[name] == 0, no_answer, inputs[name])
    return no_answer


def _pop_gold(inputs: dict[str, Any]) -> dict[str, Any]:
    """Take the gold answers out of a batch and return them."""
    return {name: inputs.pop(name, None) for name in (START, END, IMPOSSIBLE)}


def _span_forward(model: Any, **inputs: Any) -> SimpleNamespace:
    """Return the start and end scores of each token (BERT).

    Returns:
        `start`, `end`: float32 [examples, tokens], padding masked; `scores`: both before that;
        `context`: bool [examples, tokens], the tokens that an answer may hold; `gold`; `nowhere`:
        the position that stands for no answer.
    """
    context = _pop_context(inputs)
    no_answer, gold = _pop_no_answer(inputs, len(context), context.device), _pop_gold(inputs)
    outputs = type(model).forward(model, **inputs)
    real = inputs["attention_mask"].bool()
    scores = _at_least_float32(outputs.start_logits), _at_least_float32(outputs.end_logits)
    start, end = (x.masked_fill(~real, MASKED_SCORE) for x in scores)
    return SimpleNamespace(
        start=start, end=end, scores=scores, context=context, gold=gold, nowhere=no_answer
    )


def _conditional_span_forward(model: Any, **inputs: Any) -> SimpleNamespace:
    """Return log-probabilities of the start, of the end given the start, and of having an answer.

    Returns:
        `start`: [examples, tokens]; `end`: the same, given the gold start, None without gold
        answers; `ends`: function from starts [examples, starts] to log-probabilities of the end
        [examples, starts, tokens]; `answerable`: [examples, 2]; `context`, `gold` and `nowhere` as
        in `_span_forward`.
    """
    context = _pop_context(inputs)
    no_answer, gold = _pop_no_answer(inputs, len(context), context.device), _pop_gold(inputs)
    hidden = model.base_model(**inputs)[0]
    allowed = context.scatter(1, no_answer[:, None], True)
    head: ConditionalSpanHead = model.qa_outputs
    start = head.starts(hidden, allowed)

    def ends(starts: torch.Tensor) -> torch.Tensor:
        return head.ends(hidden, starts, allowed)

    return SimpleNamespace(
        start=start,
        end=None if gold[START] is None else ends(gold[START][:, None])[:, 0],
        ends=ends,
        context=context,
        gold=gold,
        answerable=head.answerable(hidden, start, no_answer),
        nowhere=no_answer,
    )


class ConditionalSpanHead(nn.Module):
    """A span head that predicts the start, the end given the start, and answerability.

    Source: Yang et al., 2019 (XLNet), as implemented in GluonNLP.

    Args:
        size: the encoder's width.
        dropout: rate before the last layer of answerability.
    """

    def __init__(self, size: int, dropout: float) -> None:
        super().__init__()
        self.start = nn.Linear(size, 1)
        self.end_inner, self.end_norm = nn.Linear(2 * size, WIDTH), nn.LayerNorm(WIDTH, eps=1e-12)
        self.end = nn.Linear(WIDTH, 1)
        self.answer_inner, self.answer = nn.Linear(2 * size, WIDTH), nn.Linear(WIDTH, 2)
        self.dropout = nn.Dropout(dropout)

    def starts(self, hidden: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
        """Return log p(start), [examples, tokens].

        Args:
            hidden: [examples, tokens, width].
            allowed: bool [examples, tokens], the positions that may be predicted.
        """
        return _log_softmax(self.start(hidden)[..., 0], allowed)

    def ends(
        self, hidden: torch.Tensor, starts: torch.Tensor, allowed: torch.Tensor
    ) -> torch.Tensor:
        """Return log p(end | start), [examples, starts, tokens].

        Args:
            hidden: [examples, tokens, width].
            starts: int64 [examples, starts], token positions.
            allowed: bool [examples, tokens], the positions that may be predicted.
        """
        index = starts[..., None].expand(-1, -1, hidden.shape[-1])
        begin = hidden.gather(1, index)[:, :, None].expand(-1, -1, hidden.shape[1], -1)
        both = torch.cat([begin, hidden[:, None].expand_as(begin)], -1)
        scores = self.end(self.end_norm(torch.tanh(self.end_inner(both))))[..., 0]
        return _log_softmax(scores, allowed[:, None])

    def answerable(
        self, hidden: torch.Tensor, start: torch.Tensor, no_answer: torch.Tensor
    ) -> torch.Tensor:
        """Return log p(there is an answer) and log p(there is none), [examples, 2].

        Args:
            hidden: [examples, tokens, width].
            start: log p(start), [examples, tokens].
            no_answer: int64 [examples], the position of the token that stands for no answer.
        """
        expected = torch.einsum("bt,btc->bc", start.exp().to(hidden.dtype), hidden)
        none = hidden[torch.arange(len(hidden), device=hidden.device), no_answer]
        inner = torch.tanh(self.answer_inner(torch.cat([expected, none], -1)))
        return functional.log_softmax(_at_least_float32(self.answer(self.dropout(inner))), -1)


def _log_softmax(scores: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
    """Return float32 log-probabilities over the allowed positions of the last dimension."""
    return functional.log_softmax(_at_least_float32(scores).masked_fill(~allowed, MASKED_SCORE), -1)


def _at_least_float32(x: torch.Tensor) -> torch.Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
