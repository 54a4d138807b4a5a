"""Toys that several tests share: a tokenizer, tiny encoders, examples of made-up tokens."""

import gc
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"

from collections.abc import Callable
from pathlib import Path

import pytest
from support.toys import _SHAPE, TOY_CONFIGS, toy_tokenizer

gc.disable()  # while modules are imported: they stay, and looking through them takes seconds


def pytest_collection_finish() -> None:
    """Collect garbage from now on, but never among what the imports have made."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def toy_folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes a tiny encoder with random weights as a transformers folder: toy_folder("bert")."""

    def write(kind: str, *, head: str | None = None, **settings: object) -> Path:
        import torch
        from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM

        config = AutoConfig.for_model(kind, **{**_SHAPE, **TOY_CONFIGS[kind], **settings})
        torch.manual_seed(7)
        model = (AutoModelForMaskedLM if head == "mlm" else AutoModel).from_config(config)
        with torch.no_grad():
            for parameter in model.parameters():  # biases and norms too: nothing at its default
                parameter.add_(torch.randn_like(parameter) * 0.1)
        folder = tmp_path / kind
        model.save_pretrained(folder)
        toy_tokenizer().save_pretrained(folder)
        return folder

    return write


@pytest.fixture
def toy_bert(toy_folder):
    """Reads a tiny BERT with the head of a task: toy_bert("glue/rte")."""
    from raysearch import tasks
    from raysearch.models.pretrained import read_pretrained, read_tokenizer

    folder = str(toy_folder("bert"))
    tokenizer = read_tokenizer(folder, ())
    return lambda task="glue/rte": read_pretrained(folder, tasks.get(task), tokenizer)


@pytest.fixture
def pretrained(toy_folder):
    """Reads a tiny encoder for one of the toy tasks: pretrained("span", hyper)."""
    from support.head_toys import MADE

    from raysearch.models.pretrained import read_pretrained, read_tokenizer

    def make(kind, hyper, model="bert"):
        folder = str(toy_folder(model))
        return read_pretrained(folder, MADE[kind][0], read_tokenizer(folder, ()), hyper)

    return make
