"""The examples as a configuration sees them."""

from collections.abc import Mapping
from typing import Any

from .augmentation.augmented_dataset import Views
from .dataset import Examples
from .masked_blocks import Blocks
from .token_stream import Text

Training = Examples | Blocks | Views  # what a trial is trained on


def shaped(
    examples: Examples | Text, hyper: Any, material: Mapping[str, Any] | None = None
) -> Training:
    """A text as blocks of its size; a training set with what its views are made from, as views; any
    others as they are."""
    if isinstance(examples, Text):
        return Blocks(examples, hyper.block * hyper.length, hyper.mask_share)
    if material is not None and hyper.needs():
        return Views(examples, hyper, material)
    return examples
