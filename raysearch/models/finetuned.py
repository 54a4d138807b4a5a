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
    own = getattr(model.config, "raysearch", None)
    body = f"{model.base_model_prefix}."
    lacking = [name for name in info["missing_keys"] if not name.startswith(body) and not own]
    if text := _unfit(task, model.config.num_labels, lacking):
        raise InputError(str(folder), [Problem(place="model", text=text)])
    put(model, task.head)
    weights = Path(folder) / "model.safetensors"
    if own and weights.is_file():
        model.load_state_dict(load_file(weights))  # transformers knows nothing of the head put in
    return model.to(device).eval()


def _unfit(task: Task, outputs: int, lacking: list[str]) -> str:
    """Why a head cannot predict the task: its number of outputs, the weights that it lacks."""
    if task.head == "thought":  # embeddings, which no head reads
        return ""
    if lacking:
        return f"no trained head in it: {', '.join(sorted(lacking))}; a run's best/ has one"
    if outputs != task.outputs:
        return f"its head has {outputs} outputs, {task.name} has {task.outputs}"
    return ""
