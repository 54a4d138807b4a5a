"""What a model is before it is read: its files, or a name on a hub."""

import hashlib
from pathlib import Path

from ..errors import Problem
from ..study.model_names import model_problems, scratch_shape


def model_fingerprint(model: str) -> str:
    """Identity of a model before it is read: its files' contents, or its name on a hub."""
    digest = hashlib.sha256(b"" if Path(model).is_dir() else model.encode())
    for path in model_files(model):
        with path.open("rb") as file:
            digest.update(path.name.encode())
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def model_files(model: str) -> list[Path]:
    """What a folder holds of a model and its tokenizer; nothing of a name on a hub."""
    folder = Path(model)
    kinds = ("*.json", "*.safetensors", "*.bin", "*.txt", "*.model")
    return sorted(f for kind in kinds for f in folder.glob(kind)) if folder.is_dir() else []


def hub_problems(model: str) -> list[Problem]:
    """Whether a hub name can be read: from the cache, or from the hub, which is asked once."""
    if Path(model).is_dir() or scratch_shape(model) or model_problems(model):
        return []
    from huggingface_hub import HfApi, try_to_load_from_cache

    try:
        if not isinstance(try_to_load_from_cache(model, "config.json"), str):
            HfApi().model_info(model, timeout=10)
    except Exception as error:  # whatever the network or the hub may answer
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        text = f"no folder '{model}', and as a hub name it cannot be read: {reason}"
        return [Problem(location="model", text=text)]
    return []
