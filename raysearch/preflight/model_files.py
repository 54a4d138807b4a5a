"""Examines a model before it is read: the files of its folder, or its name on a hub."""

import hashlib
from pathlib import Path

from ..errors import Problem, first_line
from ..study.model_names import model_problems, scratch_shape


def model_fingerprint(model: str) -> str:
    """Return a hash that identifies a model: of the contents of its files, or of its hub name."""
    digest = hashlib.sha256(b"" if Path(model).is_dir() else model.encode())
    for path in model_files(model):
        with path.open("rb") as file:
            digest.update(path.name.encode())
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def model_files(model: str) -> list[Path]:
    """Return the files of a model and its tokenizer in a folder; none for a name on a hub."""
    folder = Path(model)
    patterns = ("*.json", "*.safetensors", "*.bin", "*.txt", "*.model")
    if not folder.is_dir():
        return []
    return sorted(path for pattern in patterns for path in folder.glob(pattern))


def hub_problems(model: str) -> list[Problem]:
    """Return a problem if a hub name is neither in the cache nor on the hub, which is asked once.

    Other models have no problems here.
    """
    if Path(model).is_dir() or scratch_shape(model) or model_problems(model):
        return []
    from huggingface_hub import HfApi, try_to_load_from_cache

    try:
        if not isinstance(try_to_load_from_cache(model, "config.json"), str):
            HfApi().model_info(model, timeout=10)
    except Exception as error:  # network and hub raise errors of many types
        text = f"no folder '{model}', and it cannot be read as a hub name: {first_line(error)}"
        return [Problem(location="model", text=text)]
    return []


def hub_cache() -> tuple[Path, bool]:
    """Return the folder of fetched hub models, and whether nothing else is fetched."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE), bool(constants.HF_HUB_OFFLINE)
