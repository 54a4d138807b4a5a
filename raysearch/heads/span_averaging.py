"""The scores of several models' span heads together, before answers are decoded.

It is apart from `span_decoding`, which reads one model's scores, because a mean needs the scores of
every token: the best tokens of two models are others.
"""

import numpy as np
import torch

from ..data.columns import CONTEXT_LENGTH, CONTEXT_START
from ..data.dataset import EncodedDataset
from ..recipes import Hyperparameters
from .span_decoding import best_tokens, null_score, span_row
from .task_head import Batch, Mean

_BEAM = "beam_starts"  # of a batch: the starts whose ends are asked for, int64 [windows, starts]


def average_plain(mean: Mean, examples: EncodedDataset, hyper: Hyperparameters) -> np.ndarray:
    """Return the rows of `span_outputs` of the mean start and end scores of each token.

    The null score is the mean of the models', so the sum of the mean scores of its token.
    """
    scores = torch.from_numpy(mean(plain_scores))
    start, end = scores[:, 1::2], scores[:, 2::2]
    context = _context(examples, start.shape[1])
    start_scores, starts = best_tokens(start, context, hyper.n_best)
    end_scores, ends = best_tokens(end, context, hyper.n_best)
    return span_row(scores[:, 0], starts, start_scores, ends, end_scores).numpy()


def average_conditional(mean: Mean, examples: EncodedDataset, hyper: Hyperparameters) -> np.ndarray:
    """Return the rows of `span_outputs` of the mean log-probabilities of starts, ends and answers.

    The beam holds the starts that are best in the mean; every model gives the ends for them.
    """
    scores = torch.from_numpy(mean(start_scores_of))
    tokens = scores.shape[1] - 1
    context = _context(examples, tokens)
    start_scores, starts = best_tokens(scores[:, 1:], context, hyper.beam)
    beam = starts.clamp(max=tokens - 1).numpy()
    ends = torch.from_numpy(mean(end_scores_of, {_BEAM: beam}))
    ends = ends.view(len(ends), -1, hyper.beam).transpose(1, 2)
    end_scores, end = best_tokens(ends, context, hyper.beam)
    return span_row(scores[:, 0], starts, start_scores, end, end_scores).numpy()


def plain_scores(model: torch.nn.Module, batch: Batch, hyper: Hyperparameters) -> torch.Tensor:
    """Return the null score, then start and end score of each token: [windows, 1 + 2 * tokens]."""
    outputs = model(**batch)
    pairs = torch.stack([outputs.start, outputs.end], -1).flatten(1)
    return torch.cat([null_score(outputs)[:, None], pairs], 1).float()


def start_scores_of(model: torch.nn.Module, batch: Batch, hyper: Hyperparameters) -> torch.Tensor:
    """Return the null score, then log p(start) of each token: [windows, 1 + tokens]."""
    outputs = model(**batch)
    return torch.cat([null_score(outputs)[:, None], outputs.start], 1).float()


def end_scores_of(model: torch.nn.Module, batch: Batch, hyper: Hyperparameters) -> torch.Tensor:
    """Return log p(end | start) of each token for each start of the beam, [windows, tokens * n]."""
    starts = batch.pop(_BEAM)
    outputs = model(**batch)
    # The beam may name a token beyond this batch only where a window has too few of them.
    ends: torch.Tensor = outputs.ends(starts.clamp(max=outputs.start.shape[1] - 1))
    return ends.transpose(1, 2).flatten(1).float()


def _context(examples: EncodedDataset, tokens: int) -> torch.Tensor:
    """Return which tokens an answer may hold, bool [windows, tokens]."""
    first, count = (
        torch.from_numpy(examples.table.column(name).to_numpy().astype(np.int64))[:, None]
        for name in (CONTEXT_START, CONTEXT_LENGTH)
    )
    positions = torch.arange(tokens)[None, :]
    return (positions >= first) & (positions < first + count)
