"""Named arrays in one safetensors file, for weights that programs exchange.

Apart from the model folders because such a file has no configuration and is not for users.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays to a file and wait until they are on the disk.

    Raises:
        OSError: the file cannot be written, for example because the disk is full.
    """
    try:
        save_file({name: np.ascontiguousarray(x) for name, x in arrays.items()}, path)
    except SafetensorError as error:  # safetensors raises it for a full disk
        raise OSError(str(error)) from error
    with path.open("rb") as file:
        os.fsync(file.fileno())


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file that `write_arrays` wrote."""
    return load_file(path)
