"""Masks of dropout: their distribution, and what a step makes of them."""

import math

import pytest
import torch
from torch import nn

from raysearch.models.dropout_masks import CpuDropout, scaled_mask, use_cpu_dropout

CPU = torch.device("cpu")


@pytest.mark.parametrize("rate", [0.001, 0.1, 0.25, 0.5, 0.9, 0.999])
def test_values_are_dropped_at_their_rate_and_the_mean_is_one(rate):
    torch.manual_seed(1)
    mask = scaled_mask(torch.Size([1000, 1003]), rate, CPU)  # not a multiple of four
    count, dropped = mask.numel(), int((mask == 0).sum())
    rounded = round(rate * 2**16) / 2**16
    assert abs(rounded - rate) <= 2**-17
    deviation = math.sqrt(count * rounded * (1 - rounded))
    assert abs(dropped - count * rounded) < 4.5 * deviation
    kept = mask[mask != 0]
    assert (kept == kept[0]).all()
    assert float(kept[0]) == pytest.approx(1 / (1 - rounded), rel=1e-6)


def test_neighbours_and_draws_are_independent():
    """Chi-squared over pairs of values at distances up to 8, at 16, and in the next draw."""
    torch.manual_seed(2)
    first, second = (scaled_mask(torch.Size([10**6]), 0.3, CPU) != 0 for _ in range(2))
    pairs = [(first[:-step], first[step:]) for step in (*range(1, 9), 16)] + [(first, second)]
    for one, other in pairs:
        found = torch.stack([(one == a) & (other == b) for a in (0, 1) for b in (0, 1)]).sum(1)
        share = round(0.3 * 2**16) / 2**16
        chances = torch.tensor([share * share, share * (1 - share)] * 2, dtype=torch.float64)
        chances[2:] = torch.tensor([share * (1 - share), (1 - share) ** 2])
        expected = chances * len(one)
        assert float(((found - expected) ** 2 / expected).sum()) < 21.1  # 3 degrees: p = 0.0001


def test_each_bit_of_a_draw_is_used_once():
    """Every one of the four 16-bit pieces of a word is evenly distributed, the sign's too."""
    torch.manual_seed(3)
    mask = (scaled_mask(torch.Size([400_000]), 0.5, CPU) != 0).view(-1, 4)
    deviation = math.sqrt(100_000 * 0.25)
    assert ((mask.sum(0) - 50_000).abs() < 4.5 * deviation).all()


def test_the_gradient_passes_where_the_value_did():
    torch.manual_seed(4)
    values = torch.randn(50, 70, requires_grad=True)
    output = CpuDropout(0.4)(values)
    output.backward(torch.ones_like(output))
    torch.testing.assert_close(values.grad, output.detach() / values.detach())
    assert 0.3 < float((values.grad == 0).float().mean()) < 0.5


def test_a_seed_gives_the_same_masks_and_a_forked_generator_too():
    dropout, values = CpuDropout(0.5), torch.ones(999)
    torch.manual_seed(5)
    first = dropout(values)
    torch.manual_seed(5)
    with torch.random.fork_rng(devices=[]):
        assert torch.equal(dropout(values), first)
    assert torch.equal(dropout(values), first)
    assert not torch.equal(dropout(values), first)


def test_nothing_is_dropped_in_evaluation_nor_at_rate_0_and_all_at_rate_1():
    values = torch.randn(5, 6)
    assert CpuDropout(0.5).eval()(values) is values
    assert CpuDropout(0.0)(values) is values
    assert (CpuDropout(1.0)(values) == 0).all()


def test_other_number_formats_are_left_to_torch():
    for dtype in (torch.float64, torch.bfloat16):
        torch.manual_seed(6)
        found = CpuDropout(0.5)(torch.ones(64, dtype=dtype))
        torch.manual_seed(6)
        assert torch.equal(found, nn.functional.dropout(torch.ones(64, dtype=dtype), 0.5))


def test_modules_are_changed_in_place_with_their_hooks():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.3), nn.Dropout1d(0.3))
    seen = []
    model[1].register_forward_pre_hook(lambda module, values: seen.append(module.p))
    use_cpu_dropout(model)
    model.train()(torch.ones(3, 2))
    assert [type(m) for m in model] == [nn.Linear, CpuDropout, nn.Dropout1d]
    assert seen == [0.3]
