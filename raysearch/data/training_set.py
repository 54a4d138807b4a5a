"""The kinds of training set, and the one that a configuration trains on.

It is apart from each kind because it names them all.
"""

from collections.abc import Mapping
from typing import Any

from .augmentation.augmented_dataset import AugmentedDataset
from .dataset import EncodedDataset
from .masked_blocks import MaskedBlocks
from .token_stream import TokenStream

TrainingSet = EncodedDataset | MaskedBlocks | AugmentedDataset  # what a trial is trained on


def as_training_set(
    examples: EncodedDataset | TokenStream,
    hyper: Any,
    view_inputs: Mapping[str, Any] | None = None,
) -> TrainingSet:
    """Return the examples as a configuration trains on them.

    Args:
        examples: the examples of a split.
        hyper: the hyperparameters of the trial.
        view_inputs: the input of views, see `AugmentedDataset`; None for other splits and recipes.

    Returns:
        MaskedBlocks of a text; an AugmentedDataset if the configuration needs views and their input
        is given; otherwise the examples themselves.
    """
    if isinstance(examples, TokenStream):
        return MaskedBlocks(examples, hyper.block * hyper.length, hyper.mask_share)
    if view_inputs is not None and hyper.view_kinds():
        return AugmentedDataset(examples, hyper, view_inputs)
    return examples
