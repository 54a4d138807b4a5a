"""transformers folders of strangers: configuration, tokenizer and weights. No hub is asked."""

import json
import os
import shutil
from pathlib import Path
from random import Random
from typing import Any

import torch
import transformers

from raysearch import tasks
from raysearch.models import finetuned
from raysearch.models.pretrained import read_pretrained, read_tokenizer

from . import mutations
from .checkpoints import Call
from .harness import Input, marker

KEYS = ("raysearch", "auto_map", "id2label", "num_labels", "architectures", "torch_dtype", "x",
        "quantization_config", "pad_token", "tokenizer_class", "model_type")  # fmt: skip
SIZES = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
         "max_position_embeddings", "type_vocab_size", "pad_token_id")  # fmt: skip
CODE = "open({!r}, 'w')\nclass C:\n    pass\n"
AUTO = {"AutoConfig": "evil.C", "AutoModel": "evil.C", "AutoTokenizer": ["evil.C", "evil.C"],
        "AutoModelForSequenceClassification": "evil.C"}  # fmt: skip


class ModelFolders:
    """A tiny BERT's folder with one of its files broken."""

    def __init__(self, folder: Path) -> None:
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        self.folder, self.whole = folder, folder / "whole"
        self.task = tasks.get("glue/rte")
        _write(self.whole)
        self._read(self.whole)

    def draw(self, random: Random) -> Input:
        """Return a broken folder."""
        work = self.folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(self.whole, work)
        shown = random.choice((self._config, self._config, self._tokenizer, self._weights,
                               self._weights, self._code))(work, random)  # fmt: skip
        reader = random.choice((self._read, self._load))
        return Input(shown=f"{reader.__name__} {shown}", read=lambda: reader(work))

    def _read(self, folder: Path) -> None:
        """Read a folder as a search does."""
        read_pretrained(str(folder), self.task, read_tokenizer(str(folder), ()))

    def _load(self, folder: Path) -> None:
        """Read a folder as a prediction does."""
        read_tokenizer(str(folder), ())
        finetuned.load_finetuned(folder, self.task, torch.device("cpu"))

    def _config(self, folder: Path, random: Random) -> str:
        path = folder / "config.json"
        if random.random() < 0.4:
            config = json.loads(path.read_bytes())
            config[random.choice(SIZES)] = random.choice(
                (0, 1, 2, 3, -1, 10**10, 1.5, "4", None, True)
            )
            content = json.dumps(config).encode()
        else:
            content = mutations.of_json(path.read_bytes(), random, KEYS)
        path.write_bytes(content)
        return f"config.json {content!r}"

    def _tokenizer(self, folder: Path, random: Random) -> str:
        path = folder / random.choice(("tokenizer.json", "tokenizer_config.json"))
        content = mutations.of_json(path.read_bytes(), random, KEYS)
        if random.random() < 0.05:
            path.unlink()
        else:
            path.write_bytes(content)
        return f"{path.name} {content!r}"

    def _weights(self, folder: Path, random: Random) -> str:
        path = folder / "model.safetensors"
        content, way = path.read_bytes(), random.random()
        size = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + size])
        if way < 0.6:
            name = random.choice(list(header))
            if way < 0.2:
                del header[name]
            elif way < 0.3:
                header[f"{name}x"] = header.pop(name)
            else:
                header[name] = mutations.of_tree(header[name], random, ("dtype", "shape"))
            inner = mutations.as_json(header)
            content = len(inner).to_bytes(8, "little") + inner + content[8 + size :]
        elif way < 0.8:
            content = mutations.of_bytes(content[: 8 + size], random) + content[8 + size :]
        else:
            path.unlink()
            call = Call(os.system, f"touch {marker(self.folder)}")
            torch.save({"bert.x": call}, folder / "pytorch_model.bin")
            return "pytorch_model.bin with a call"
        path.write_bytes(content)
        return f"model.safetensors {content[: 8 + size]!r}"

    def _code(self, folder: Path, random: Random) -> str:
        """Put code into the folder that its configuration names."""
        (folder / "evil.py").write_text(CODE.format(str(marker(self.folder))))
        for name in ("config.json", "tokenizer_config.json"):
            config: dict[str, Any] = json.loads((folder / name).read_bytes())
            config["auto_map"] = AUTO
            if random.random() < 0.5:
                config["model_type"] = "evil"
            (folder / name).write_text(json.dumps(config))
        return "auto_map"


def _write(folder: Path) -> None:
    """Write a BERT of one layer that knows forty words."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = special + [f"w{number}" for number in range(40)]
    ids = {word: number for number, word in enumerate(words)}
    backend = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    named = zip(("pad", "unk", "cls", "sep", "mask"), special, strict=True)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, **{f"{name}_token": word for name, word in named}
    )
    labels = dict(enumerate(tasks.get("glue/rte").labels))
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=40, id2label=labels,
        label2id={label: number for number, label in labels.items()},
    )  # fmt: skip
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
