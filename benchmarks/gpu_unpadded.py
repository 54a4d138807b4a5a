"""A forward and backward pass without padding, beside the same examples padded to one length.

It is apart from gpu.py because it is an experiment: on a GPU raysearch does not train like this.
There are two ways. Packed: all sequences of a batch stand in one row, with positions that begin
anew and a mask that lets a token see its own sequence alone. The mask is explicit: transformers'
own masks for `sdpa` let tokens of such a row see other sequences. Grouped: as raysearch trains on a
CPU, where only attention is padded, in groups of sequences of similar length.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from gpu_cases import Lengths, Scale, free_memory, make_case, use_tf32
from step_loops import StepCase
from transformers import AutoConfig, AutoModelForSequenceClassification

from raysearch import tasks
from raysearch.models.unpadded import UnpaddedPasses, can_be_unpadded

PRECISION = torch.bfloat16
WAYS = ("padded", "packed", "grouped")


def unpadded(lengths: dict[str, Lengths], scale: Scale, device: torch.device) -> str:
    """Return how far logits and gradients without padding differ, and on a GPU the times, as text.

    BERT-base on the first mix whose batch is of single sequences, without dropout.
    """
    single = [(n, x) for n, x in lengths.items() if tasks.get(x.mix.task).head == "classify"]
    if not single:
        return "Without padding: none of the lengths is of single sequences."
    name, mix = single[0]
    case = make_case("BERT-base", mix, "fp32", scale, device)
    use_tf32("fp32")
    free_memory(device)
    pair = PackedPair(case)
    text = f"BERT-base, {name}, without padding: {pair.tokens} instead of {pair.padded} tokens"
    for way in ("packed", "grouped"):
        logits, gradient = pair.differences(way)
        text += (
            f"; {way}, logits differ by {logits:.0e} of their size, gradients by {gradient:.0e} of"
            " their norm"
        )
    if device.type != "cuda":
        return f"{text}; times need a GPU."
    padded, packed, grouped = (pair.milliseconds(pair.loss(way)) for way in WAYS)
    return (
        f"{text}; forward and backward {padded:.2f} ms padded, {packed:.2f} ms packed,"
        f" {grouped:.2f} ms grouped, in bf16."
    )


class PackedPair:
    """A batch, padded and packed, and a model for both.

    Args:
        case: the model's shape and the examples, of which the first BSZ are taken.

    Attributes:
        tokens, padded: the number of tokens without and with padding.
    """

    def __init__(self, case: StepCase) -> None:
        config = AutoConfig.for_model(**case.pretrained.config)
        config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
        torch.manual_seed(1)
        model: Any = AutoModelForSequenceClassification.from_config(
            config, attn_implementation="sdpa"
        )
        self.model, self.device = model.to(case.device), case.device
        assert can_be_unpadded(self.model)
        self.model.train()
        batch = case.train.collate(range(case.hyper["BSZ"]))
        self.labels = batch.pop("labels").to(case.device)
        self.batch = {name: x.to(case.device) for name, x in batch.items()}
        real = batch["attention_mask"].bool()
        self.tokens, self.padded = int(real.sum()), real.numel()
        self.packed, self.starts = self._pack(real)

    def _pack(self, real: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Return the inputs of the packed row, and the places of the sequences' first tokens."""
        batch = {n: x.cpu() for n, x in self.batch.items()}
        row, position = real.nonzero(as_tuple=True)
        inputs = {n: x[real][None] for n, x in batch.items() if n != "attention_mask"}
        inputs["position_ids"] = position[None]
        inputs["attention_mask"] = (row[:, None] == row[None, :])[None, None]  # [1, 1, T, T]
        starts = (position == 0).nonzero()[:, 0]
        return {n: x.to(self.device) for n, x in inputs.items()}, starts.to(self.device)

    def padded_logits(self) -> torch.Tensor:
        """Return the logits of the padded batch, [examples, labels]."""
        logits: torch.Tensor = self.model(**self.batch).logits
        return logits

    def packed_logits(self) -> torch.Tensor:
        """Return the logits of the packed row, [examples, labels]."""
        hidden = self.model.base_model(**self.packed).last_hidden_state[0, self.starts]
        logits: torch.Tensor = self.model.classifier(self.model.base_model.pooler(hidden[:, None]))
        return logits

    def grouped_logits(self) -> torch.Tensor:
        """Return the logits of the batch as raysearch computes them on a CPU."""
        with UnpaddedPasses(self.model):
            return self.padded_logits()

    def logits(self, way: str) -> torch.Tensor:
        """Return the logits in one of WAYS."""
        ways = (self.padded_logits, self.packed_logits, self.grouped_logits)
        return dict(zip(WAYS, ways, strict=True))[way]()

    def loss(self, way: str) -> Callable[[], torch.Tensor]:
        """Return what computes the loss in one of WAYS."""
        return lambda: torch.nn.functional.cross_entropy(self.logits(way).float(), self.labels)

    def gradient(self, loss: Callable[[], torch.Tensor]) -> torch.Tensor:
        """Return the gradient of all parameters in one vector."""
        self.model.zero_grad(set_to_none=True)
        loss().backward()
        return torch.cat([p.grad.flatten() for p in self.model.parameters() if p.grad is not None])

    def differences(self, way: str) -> tuple[float, float]:
        """Return the largest difference of logits and of gradients, as shares of their norms."""
        with torch.no_grad():
            padded, other = self.padded_logits(), self.logits(way)
        before, after = self.gradient(self.loss("padded")), self.gradient(self.loss(way))
        return (
            float((other - padded).abs().max() / padded.abs().max()),
            float((after - before).abs().max() / before.norm()),
        )

    def milliseconds(self, loss: Callable[[], torch.Tensor]) -> float:
        """Return the median milliseconds of a forward and backward pass on a GPU, in bf16."""
        seconds = []
        for _ in range(23):
            torch.cuda.synchronize()
            began = time.perf_counter()
            with torch.autocast("cuda", PRECISION):
                value = loss()
            value.backward()
            torch.cuda.synchronize()
            seconds.append(time.perf_counter() - began)
        return 1e3 * statistics.median(seconds[3:])
