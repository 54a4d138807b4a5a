"""Weights alone, as one safetensors file: for programs, not for users. It knows no model."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays and wait until the disk has them. Raises OSError where it does not."""
    try:
        save_file({name: np.ascontiguousarray(x) for name, x in arrays.items()}, path)
    except SafetensorError as error:  # it has words of its own for a full disk
        raise OSError(str(error)) from error
    with path.open("rb") as file:
        os.fsync(file.fileno())


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file that `write_arrays` wrote."""
    return load_file(path)
