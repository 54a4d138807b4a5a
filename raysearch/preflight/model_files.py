"""Examines a model before it is read: the files of its folder, or its name on a hub."""

import hashlib
from pathlib import Path

from ..error_pages import HUB
from ..errors import Problem, first_line
from ..study.model_names import hub_cure, is_hub_name, model_problems, plain_name


def model_fingerprint(model: str) -> str:
    """Return a hash that identifies a model: of the contents of its files, or of its hub name.

    A hub name has the same one with `hub:` before it.
    """
    digest = hashlib.sha256(b"" if Path(model).is_dir() else plain_name(model).encode())
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


def model_size(model: str) -> int:
    """Return the bytes of `model_files`: 0 of a name on a hub, and of a model from scratch."""
    return sum(path.stat().st_size for path in model_files(model))


def hub_problems(model: str) -> list[Problem]:
    """Return a problem if a hub name is neither in the cache nor on the hub, which is asked once.

    Other models have no problems here.
    """
    if not is_hub_name(model) or model_problems(model):
        return []
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    name = plain_name(model)
    try:
        if not isinstance(try_to_load_from_cache(name, "config.json"), str):
            HfApi().model_info(name, timeout=10)
    except Exception as error:  # network and hub raise errors of many types
        folder = f"no folder '{name}', and it" if name == model else f"'{model}'"
        text = f"{folder} cannot be read as a hub name: {first_line(error)}"
        cure = hub_cure(name)
        if isinstance(error, OfflineModeIsEnabled):
            cure = f"unset HF_HUB_OFFLINE where there is a network; {cure}"
        elif isinstance(error, HfHubHTTPError):
            cure = "the hub answers: is the name right? `hf auth login` is for models that need it"
        return [Problem(location="model", text=f"{text}\n{cure}", page=HUB)]
    return []


def hub_cache() -> tuple[Path, bool]:
    """Return the folder of fetched hub models, and whether nothing else is fetched."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE), bool(constants.HF_HUB_OFFLINE)
