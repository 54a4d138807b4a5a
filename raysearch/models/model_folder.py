"""transformers folders, written whole or not at all. It knows neither models nor tokenizers."""

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
    """A folder with a model, to put the tokenizer's files in; it becomes `folder` at the end.

    Args:
        folder: absent, or an empty folder.
        config: of transformers.
        replace: `folder` may be there already.
    """
    with staged_folder(folder, replace=replace) as new:
        config.save_pretrained(new)
        contiguous = {name: np.ascontiguousarray(array) for name, array in weights.items()}
        save_file(contiguous, new / "model.safetensors", metadata={"format": "pt"})
        # As readable as the rest: safetensors leaves its file to its owner alone.
        (new / "model.safetensors").chmod((new / "config.json").stat().st_mode)
        yield new
