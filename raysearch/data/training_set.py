"""The examples as a configuration sees them."""

from collections.abc import Mapping
from typing import Any

from .augmentation.augmented_dataset import AugmentedDataset
from .dataset import EncodedDataset
from .masked_blocks import MaskedBlocks
from .token_stream import TokenStream

TrainingSet = EncodedDataset | MaskedBlocks | AugmentedDataset  # what a trial is trained on


def as_training_set(
    examples: EncodedDataset | TokenStream, hyper: Any, material: Mapping[str, Any] | None = None
) -> TrainingSet:
    """A text as blocks of its size; a training set with what its views are made from, as views; any
    others as they are."""
    if isinstance(examples, TokenStream):
        return MaskedBlocks(examples, hyper.block * hyper.length, hyper.mask_share)
    if material is not None and hyper.view_kinds():
        return AugmentedDataset(examples, hyper, material)
    return examples
