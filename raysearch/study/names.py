"""The names that a study gives a model: a folder, a hub name, or a small one from scratch."""

import re
from pathlib import Path

from ..errors import Problem

_SCRATCH = re.compile(r"scratch(?::(\d+)x(\d+))?")


def scratch_shape(model: str) -> tuple[int, int] | None:
    """Layers and width of `scratch` (2, 128) or `scratch:LAYERSxWIDTH`; None for other names."""
    found = _SCRATCH.fullmatch(model)
    if found is None:
        return None
    layers, width = (int(part) if part else None for part in found.groups())
    return layers or 2, width or 128


def model_problems(model: str) -> list[Problem]:
    """What is wrong with a model's name, seen without reading weights or asking a hub."""
    folder = Path(model)
    if scratch_shape(model):
        return []
    if not folder.is_dir():
        path_like = folder.is_absolute() or model.startswith(".") or model.count("/") > 1
        text = f"no folder '{model}'; a transformers folder, a hub name or scratch would do"
        return [Problem(place="model", text=text)] if path_like else []
    if not (folder / "config.json").is_file():
        text = f"'{folder}' has no config.json; a transformers folder would do"
        return [Problem(place="model", text=text)]
    if not any(folder.glob("*.safetensors")) and not any(folder.glob("pytorch_model*.bin")):
        text = f"'{folder}' has no model.safetensors and no pytorch_model.bin"
        return [Problem(place="model", text=text)]
    return []
