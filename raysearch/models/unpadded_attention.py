"""Attention over the tokens of a batch whose padding is left out.

A batch of rows [rows, length] becomes its tokens, row by row. Attention runs over groups of rows of
similar length, padded there alone. Apart from `unpadded`, which knows the models of transformers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from ..data.sampling import cheapest_division
from .dropout_masks import scaled_mask

_GROUP_COST = 20_000  # the cost of one more group, in attention weights; measured on a CPU core


@dataclass(frozen=True, kw_only=True)
class RowGroup:
    """Some rows of a batch that attend together, padded to the longest of them.

    Attributes:
        rows: which rows, in the order of the layout.
        tokens: which tokens, in the order of the layout.
        count: the number of rows.
        length: tokens of the longest row.
        index: int64, for each token its position in [count * length]; None: there is no padding.
        bias: what is added to attention scores, 0 or -inf for padding, [count, 1, 1, length]; None:
            there is no padding.
    """

    rows: slice
    tokens: slice
    count: int
    length: int
    index: torch.Tensor | None
    bias: torch.Tensor | None

    def pad(self, values: torch.Tensor, heads: int) -> torch.Tensor:
        """Return values of all tokens, [tokens, width], as [count * heads, length, width/heads]."""
        own = values[self.tokens]
        if self.index is not None:
            own = own.new_zeros(self.count * self.length, own.shape[1]).index_copy_(
                0, self.index, own
            )
        split = own.view(self.count, self.length, heads, -1).transpose(1, 2)
        return split.reshape(self.count * heads, self.length, -1)

    def unpad(self, values: torch.Tensor, heads: int) -> torch.Tensor:
        """Return values [count * heads, length, width/heads] as those of the group's tokens."""
        joined = values.view(self.count, heads, self.length, -1).transpose(1, 2)
        flat = joined.reshape(self.count * self.length, -1)
        return flat if self.index is None else flat[self.index]


class TokenLayout:
    """Where the tokens of a padded batch stand once padding is left out: row by row, longest first.

    Args:
        mask: 1 for tokens and 0 for padding, [rows, length]; each row has a token. Its row sizes
            are copied from the device.
        heads: of attention, for the division into groups.

    Attributes:
        shape: of the mask.
        index: int64 [tokens], the position of each token in the flattened batch.
        order: int64 [rows], the batch's rows in the order of the layout.
        starts: int64 [rows], the first token of each row, in the order of the layout.
        groups: of rows that attend together.
    """

    def __init__(self, mask: torch.Tensor, heads: int) -> None:
        self.shape = mask.shape
        real = mask.bool()
        sizes = real.sum(1).cpu().numpy()
        order = np.argsort(-sizes, kind="stable")
        sizes = sizes[order]
        starts = np.cumsum(sizes) - sizes
        self.order = torch.from_numpy(order).to(mask.device)
        self.starts = torch.from_numpy(starts).to(mask.device)
        real = real[self.order]
        positions = torch.arange(mask.shape[1], device=mask.device)
        self.index = (self.order[:, None] * mask.shape[1] + positions)[real]
        self.groups = [
            _group(real[first:stop], slice(first, stop), int(starts[first]), sizes)
            for first, stop in divide_rows(sizes, heads)
        ]

    def flatten(self, values: torch.Tensor) -> torch.Tensor:
        """Return the values of the tokens of a batch [rows, length] as [1, tokens]."""
        return values.flatten()[self.index][None]

    def in_batch_order(self, values: torch.Tensor) -> torch.Tensor:
        """Return values of rows, [rows, width], in the order of the batch."""
        return torch.empty_like(values).index_copy(0, self.order, values)

    def restore(self, values: torch.Tensor) -> torch.Tensor:
        """Return values of tokens, [tokens, width], as [rows, length, width], 0 for padding."""
        rows, length = self.shape
        padded = values.new_zeros(rows * length, values.shape[1])
        return padded.index_copy(0, self.index, values).view(rows, length, -1)


def _group(real: torch.Tensor, rows: slice, begin: int, sizes: np.ndarray) -> RowGroup:
    """Return a group of rows.

    Args:
        real: bool [count, length of the batch], the tokens of these rows.
        rows: which rows, in the order of the layout.
        begin: the index of their first token.
        sizes: tokens of all rows, the longest first.
    """
    own = sizes[rows]
    length, tokens = int(own[0]), slice(begin, begin + int(own.sum()))
    index = bias = None
    if own[-1] < length:
        real = real[:, :length]
        index = real.flatten().nonzero().squeeze(1)
        zeros = torch.zeros(len(own), 1, 1, length, device=real.device)
        bias = zeros.masked_fill_(~real[:, None, None], -torch.inf)
    return RowGroup(rows=rows, tokens=tokens, count=len(own), length=length, index=index, bias=bias)


def divide_rows(sizes: Sequence[int] | np.ndarray, heads: int) -> list[tuple[int, int]]:
    """Return the groups of rows (first, stop) whose attention costs least.

    Args:
        sizes: tokens of the rows, the longest first.
        heads: of attention.
    """
    weights = heads * np.square(np.asarray(sizes, np.float64))
    return cheapest_division(
        len(sizes), lambda end: (end - np.arange(end)) * weights[:end] + _GROUP_COST
    )


class UnpaddedAttention(torch.autograd.Function):
    """Attention of each row's tokens to the same row's.

    One function, since autograd's nodes for each group would cost more than the sums of short rows.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        layout: TokenLayout,
        heads: int,
        rate: float,
    ) -> torch.Tensor:
        """Return the context of each query.

        Args:
            ctx: of autograd.
            query: [tokens, width]; or [rows, width] in the layout's order, of the first tokens.
            key: [tokens, width].
            value: [tokens, width].
            layout: of the tokens.
            heads: of attention.
            rate: of dropout on attention weights.
        """
        ctx.layout, ctx.heads, ctx.first_only = layout, heads, len(query) != len(key)
        ctx.scale = (query.shape[1] // heads) ** -0.5
        result, saved = torch.empty_like(query), []
        for group in layout.groups:
            queries = _queries(query, group, heads, ctx.first_only)
            keys, values = group.pad(key, heads), group.pad(value, heads)
            if group.bias is None:
                scores = torch.bmm(queries, keys.transpose(1, 2)).mul_(ctx.scale)
            else:
                bias = group.bias.expand(-1, heads, -1, -1).reshape(len(keys), 1, -1)
                scores = torch.baddbmm(
                    bias.to(query.dtype), queries, keys.transpose(1, 2), alpha=ctx.scale
                )
            weights = torch.softmax(scores, -1).to(query.dtype)
            mask = None
            if rate:
                mask = scaled_mask(weights.shape, rate, weights.device).to(query.dtype)
            context = torch.bmm(weights if mask is None else weights * mask, values)
            _put(result, context, group, heads, ctx.first_only)
            saved += [queries, keys, values, weights, mask]
        ctx.save_for_backward(*saved)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients of query, key and value."""
        heads, saved = ctx.heads, iter(ctx.saved_tensors)
        width, tokens = gradient.shape[1], len(ctx.layout.index)
        of_query = torch.empty_like(gradient)
        of_key, of_value = gradient.new_empty(2, tokens, width).unbind()
        for group in ctx.layout.groups:
            queries, keys, values, weights, mask = (next(saved) for _ in range(5))
            of_context = _queries(gradient, group, heads, ctx.first_only)
            of_weights = torch.bmm(of_context, values.transpose(1, 2))
            dropped = weights
            if mask is not None:
                of_weights, dropped = of_weights.mul_(mask), weights * mask
            products = (of_weights * weights).sum(-1, keepdim=True)
            of_scores = of_weights.sub_(products).mul_(weights).mul_(ctx.scale)
            of_value[group.tokens] = group.unpad(
                torch.bmm(dropped.transpose(1, 2), of_context), heads
            )
            of_key[group.tokens] = group.unpad(torch.bmm(of_scores.transpose(1, 2), queries), heads)
            _put(of_query, torch.bmm(of_scores, keys), group, heads, ctx.first_only)
        return of_query, of_key, of_value, None, None, None


def _queries(values: torch.Tensor, group: RowGroup, heads: int, first_only: bool) -> torch.Tensor:
    """Return a group's values as [count * heads, length, width / heads]; length 1: first tokens."""
    if first_only:
        return values[group.rows].reshape(group.count * heads, 1, -1)
    return group.pad(values, heads)


def _put(
    result: torch.Tensor, values: torch.Tensor, group: RowGroup, heads: int, first_only: bool
) -> None:
    """Write a group's values, of the form of `_queries`, into those of all groups."""
    if first_only:
        result[group.rows] = values.reshape(group.count, -1)
    else:
        result[group.tokens] = group.unpad(values, heads)
