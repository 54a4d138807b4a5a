"""transformers folders, written atomically.

Apart because models that are trained and models that are converted are both written so; it knows
neither models nor tokenizers.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from ..storage import staged_folder


@contextmanager
def staged_model_folder(
    folder: Path, config: Any, weights: Mapping[str, np.ndarray], *, replace: bool = False
) -> Iterator[Path]:
    """Give a folder with configuration and weights; it becomes `folder` when the block ends.

    The caller adds the tokenizer's files to it.

    Args:
        folder: absent or empty, unless `replace`.
        config: a transformers configuration.
        weights: parameter or buffer name -> array.
        replace: whether `folder` may hold files, which are replaced.
    """
    with staged_folder(folder, replace=replace) as staged:
        config.save_pretrained(staged)
        contiguous = {name: np.ascontiguousarray(array) for name, array in weights.items()}
        save_file(contiguous, staged / "model.safetensors", metadata={"format": "pt"})
        # safetensors makes its file readable by its owner alone; give it the mode of the others.
        (staged / "model.safetensors").chmod((staged / "config.json").stat().st_mode)
        yield staged
