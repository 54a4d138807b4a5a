"""Fine-tuned models from their transformers folders, for prediction."""

from pathlib import Path

import torch
from safetensors.torch import load_file

from ..errors import InputError, Problem
from ..tasks import Task
from .heads import HEADS, put
from .pretrained import _from_hub


def load(folder: Path, task: Task, device: torch.device) -> torch.nn.Module:
    """A model that predicts the task. Raises InputError where its head is of another task."""
    model, info = _from_hub(
        HEADS[task.head].from_pretrained, str(folder), dtype=torch.float32,
        output_loading_info=True,
    )  # fmt: skip
    if task.head != "thought" and model.config.num_labels != task.outputs:
        text = f"its head has {model.config.num_labels} outputs, {task.name} has {task.outputs}"
        raise InputError(str(folder), [Problem(place="model", text=text)])
    own = getattr(model.config, "raysearch", None)
    body = f"{model.base_model_prefix}."
    lacking = [name for name in info["missing_keys"] if not name.startswith(body)]
    if lacking and not own and task.head != "thought":
        text = f"no trained head in it: {', '.join(sorted(lacking))}; a run's best/ has one"
        raise InputError(str(folder), [Problem(place="model", text=text)])
    put(model, task.head)
    weights = Path(folder) / "model.safetensors"
    if own and weights.is_file():
        model.load_state_dict(load_file(weights))  # transformers knows nothing of the head put in
    return model.to(device).eval()
