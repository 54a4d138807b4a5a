"""Checkpoints of fairseq and the tokenizer's files beside them: other tensors, other pickles, other
bytes."""

import argparse
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import torch
import transformers

from raysearch.models.convert import parameter_names
from raysearch.models.convert.conversion import convert

from . import mutations
from .harness import Input, marker

WIDTH = 64
FILES = {"roberta": ("dict.txt", "encoder.json", "vocab.bpe"), "amos": ("dict.txt", "sp.model")}
WORDS = ["the cat sat on the mat with a hat", "a dog ran far away from twelve cats"]
DTYPES = (torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int8, torch.bool,
          torch.complex64, torch.float8_e4m3fn)  # fmt: skip
SETTINGS = {
    "encoder_attention_heads": (1, 2, 0, -1, True, 1.0, "1", 10**30, None),
    "max_rel_pos": (128, 0, -1, True, float("inf"), float("nan"), "abc", 10**400, 1e30),
    "activation_fn": ("gelu", "relu", 10**400, [], None), "layer_norm_type": ("post", "pre"),
}  # fmt: skip
GLOBALS = (
    b"os\nsystem", b"posix\nsystem", b"builtins\nexec", b"builtins\neval", b"builtins\ngetattr",
    b"builtins\nbytearray", b"subprocess\nPopen", b"torch\nload", b"torch\nFloatStorage",
    b"torch._utils\n_rebuild_tensor_v2", b"torch\nFloatTensor", b"collections\nOrderedDict",
    b"argparse\nNamespace", b"torch._tensor\n_rebuild_from_type_v2", b"torch.hub\nload",
    b"a\0b\nc", b"copyreg\n_reconstructor",
)  # fmt: skip
STEPS = (
    b"\x80\x02", b"(", b"}", b"]", b")", b"N", b"\x88", b"K\x05", b"J\xff\xff\xff\x7f", b"t",
    b"\x85", b"\x86", b"\x87", b"a", b"e", b"s", b"u", b"R", b"b", b"\x81", b"q\x00", b"h\x00",
    b"Q", b"2", b"0", b"X\x05\0\0\0model", b"X\x04\0\0\0args", b"r\xff\xff\xff\x7f", b"\x8f",
    b"\x8b\xff\xff\xff\x7f", b"X\x07\0\0\0storage", b"\x8a\x08\0\0\0\0\0\0\0\x01",
    b"G\x7f\xf0\0\0\0\0\0\0", b".",
)  # fmt: skip


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function: Any, *given: Any) -> None:
        self.function, self.given = function, given

    def __reduce__(self) -> tuple:
        return self.function, self.given


def state(family: str, rows: int) -> dict[str, torch.Tensor]:
    """Return the tensors of an encoder of one layer, under fairseq's names."""
    shapes = {"relative_attention_bias": (32, 1), "embed_tokens": (rows, WIDTH),
              "embed_positions": (40, WIDTH)}  # fmt: skip
    torch.manual_seed(1)
    tensors = {}
    for name in parameter_names.encoder(family, 1, 0):
        module, _, kind = name.rpartition(".")
        part = module.rpartition(".")[2]
        high = {"in_proj": 3 * WIDTH, "fc1": 2 * WIDTH}.get(part, WIDTH)
        wide = 2 * WIDTH if part == "fc2" else WIDTH
        shape = (high, wide) if kind == "weight" and "norm" not in part else (high,)
        tensors[f"encoder.sentence_encoder.{name}"] = torch.randn(shapes.get(module, shape)) / 50
    return tensors


class Checkpoints:
    """A checkpoint in either format of torch, or a file of the tokenizer beside it."""

    def __init__(self, folder: Path) -> None:
        transformers.logging.set_verbosity_error()
        self.folder, self.rows = folder, {}
        for family, write in (("roberta", _write_pairs), ("amos", _write_pieces)):
            (folder / family).mkdir(parents=True)
            self.rows[family] = write(folder / family)
        self.states = {family: state(family, rows) for family, rows in self.rows.items()}
        self.saved = {
            (family, legacy): _saved({"args": None, "model": tensors}, legacy)
            for family, tensors in self.states.items() for legacy in (False, True)
        }  # fmt: skip
        for family in FILES:
            self._convert(self._work(family, self.saved[family, False]))

    def draw(self, random: Random) -> Input:
        """Return a broken checkpoint, or a whole one with a broken tokenizer."""
        family, way = random.choice(("roberta", "amos")), random.random()
        legacy = random.random() < 0.5
        if way < 0.35:
            shown, content = self._bytes(family, legacy, random)
        elif way < 0.6:
            shown, content = self._tensors(family, legacy, random)
        elif way < 0.75:
            shown, content = self._calls(family, legacy, random)
        elif way < 0.85:
            shown, content = _pickle(random)
        else:
            return self._tokenizer(family, random)
        path = self._work(family, content)
        return Input(shown=f"{family} {shown}", read=lambda: self._convert(path))

    def _convert(self, path: Path) -> None:
        to = self.folder / "out"
        shutil.rmtree(to, ignore_errors=True)
        try:
            convert(path, to=to)
        except BaseException:
            assert not to.exists(), "something was written of what is refused"
            raise

    def _work(self, family: str, content: bytes) -> Path:
        """Return a checkpoint beside whole files of its tokenizer."""
        folder = self.folder / "work"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name in FILES[family]:
            os.link(self.folder / family / name, folder / name)
        (folder / "model.pt").write_bytes(content)
        return folder / "model.pt"

    def _bytes(self, family: str, legacy: bool, random: Random) -> tuple[str, bytes]:
        """Return a saved checkpoint with other bytes, most at its two ends, where no values are."""
        content = self.saved[family, legacy]
        edge = random.choice((200, 4000, len(content)))
        if random.random() < 0.5:
            broken = mutations.of_bytes(content[:edge], random) + content[edge:]
        else:
            broken = content[:-edge] + mutations.of_bytes(content[-edge:], random)
        return f"bytes, {edge} from an end, legacy {legacy}", broken

    def _tensors(self, family: str, legacy: bool, random: Random) -> tuple[str, bytes]:
        """Return a checkpoint of other tensors, names and arguments."""
        tensors, told = dict(self.states[family]), []
        for _ in range(random.choice((1, 1, 2, 3))):
            name = random.choice(list(tensors))
            way, change = random.choice(_CHANGES)
            told.append(f"{way} {name}")
            with suppress(Exception):  # what is no tensor any more
                change(tensors, name, random)
        settings = {
            n: random.choice(values) for n, values in SETTINGS.items() if random.random() < 0.2
        }
        held = {"args": argparse.Namespace(**settings), "model": tensors}
        try:
            return f"{told} {settings}", _saved(held, legacy)
        except Exception:  # what torch cannot write is no input
            return "whole", self.saved[family, legacy]

    def _calls(self, family: str, legacy: bool, random: Random) -> tuple[str, bytes]:
        """Return a checkpoint that pickles calls."""
        proof = marker(self.folder)
        call = random.choice((
            Call(os.system, f"touch {proof}"), Call(exec, f"open({str(proof)!r}, 'w')"),
            Call(eval, f"open({str(proof)!r}, 'w')"), Call(open, str(proof), "w"),
            Call(getattr, proof, "touch"), Call(torch.load, "/etc/passwd"), Call(bytearray, 2**40),
            Call(torch.hub.load_state_dict_from_url, "http://127.0.0.1/x"), Path("/x"), {1, 2},
        ))  # fmt: skip
        tensors: Any = self.states[family]
        held = random.choice((
            {"args": call, "model": tensors}, {"model": {**tensors, "x": call}}, call, [call],
            {"model": call}, {"cfg": {"a": [call]}, "model": tensors},
            {"model": tensors, "extra_state": {"deep": mutations.deep(300), "call": call}},
        ))  # fmt: skip
        return f"calls {call}", _saved(held, legacy)

    def _tokenizer(self, family: str, random: Random) -> Input:
        """Return a whole checkpoint with one file of its tokenizer broken."""
        path = self._work(family, self.saved[family, False])
        name = random.choice(FILES[family])
        content = (self.folder / family / name).read_bytes()
        if name == "encoder.json":
            content = mutations.of_json(content, random)
        else:
            content = mutations.of_bytes(content, random)
        (path.parent / name).unlink()
        (path.parent / name).write_bytes(content)
        return Input(shown=f"{family} {name} {content!r}", read=lambda: self._convert(path))


def _renamed(tensors: dict, name: str, random: Random) -> None:
    number = random.choice(("1", "9", "99", "300000", "1000000000", "9" * 5000, "-1", "٣", "01"))
    other = random.choice((
        name.replace(".0.", f".{number}."), f"{name}x", name[8:], "x\n\x1b[31m../y", "x" * 100_000,
        "decoder.lm_head.weight", "encoder.version", "",
    ))  # fmt: skip
    tensors[other] = tensors.pop(name)


def _reshaped(tensors: dict, name: str, random: Random) -> None:
    sizes = [
        random.choice((0, 1, 2, 3, 64, 65, 128)) for _ in range(random.choice((0, 1, 2, 2, 3)))
    ]
    tensors[name] = torch.randn(sizes)


def _expanded(tensors: dict, name: str, random: Random) -> None:
    for each in list(tensors) if random.random() < 0.5 else [name]:
        shape = [size * random.choice((1, 2**10, 2**20)) for size in tensors[each].shape]
        tensors[each] = torch.zeros(1).expand(shape)


def _spoiled(tensors: dict, name: str, random: Random) -> None:
    tensors[name] = tensors[name].clone()
    tensors[name].view(-1)[:3] = random.choice((float("nan"), float("inf"), -float("inf"), 1e38))


def _other_kind(tensors: dict, name: str, random: Random) -> None:
    other = random.choice((
        lambda x: x.to(random.choice(DTYPES)), lambda x: x.to_sparse(), lambda x: x.to("meta"),
        lambda x: torch.nn.Parameter(x), lambda x: x.double() * 1e300, lambda x: x.t(),
    ))  # fmt: skip
    tensors[name] = other(tensors[name])


_CHANGES: tuple[tuple[str, Callable[[dict, str, Random], None]], ...] = (
    ("without", lambda tensors, name, _: tensors.pop(name)), ("renamed", _renamed),
    ("reshaped", _reshaped), ("expanded", _expanded), ("not finite", _spoiled),
    ("of another kind", _other_kind),
    ("no tensor", lambda tensors, name, random: tensors.update({name: mutations.value(random)})),
    ("shared", lambda tensors, name, random:
        tensors.update({name: tensors[random.choice(list(tensors))]})),
)  # fmt: skip


def _pickle(random: Random) -> tuple[str, bytes]:
    """Return an archive around a pickle of random operations."""
    parts = [b"\x80\x02"]
    for _ in range(random.randrange(1, 40)):
        part = (
            b"c" + random.choice(GLOBALS) + b"\n" if random.random() < 0.2 else random.choice(STEPS)
        )
        parts.append(part * random.choice((1, 1, 1, 1, 2, 1000)))
    content = b"".join([*parts, b"."])
    if random.random() < 0.3:
        content = mutations.of_bytes(pickle.dumps({"model": {"x": 1}}, 2), random)
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w", random.choice((0, 0, 0, 8))) as written:
        written.writestr(random.choice(("archive/data.pkl", "x/data.pkl", "data.pkl")), content)
        if random.random() < 0.3:
            written.writestr("../../x/data.pkl", content)
        written.writestr("archive/version", "3\n")
        written.writestr("archive/byteorder", "little")
    return repr(content), archive.getvalue()


def _saved(held: Any, legacy: bool) -> bytes:
    buffer = BytesIO()
    torch.save(held, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


def _write_pairs(folder: Path) -> int:
    """Write fairseq's files of a byte-level BPE tokenizer; returns its tokens."""
    from tokenizers import ByteLevelBPETokenizer

    backend = ByteLevelBPETokenizer()
    backend.train_from_iterator(WORDS * 3, vocab_size=290, show_progress=False)
    backend.save_model(str(folder))
    ids = json.loads((folder / "vocab.json").read_text())
    (folder / "encoder.json").write_text(json.dumps(ids))
    shutil.move(folder / "merges.txt", folder / "vocab.bpe")
    (folder / "dict.txt").write_text("".join(f"{id_} 1\n" for id_ in sorted(ids.values())))
    return len(ids) + 5


def _write_pieces(folder: Path) -> int:
    """Write AMOS's files of a SentencePiece model; returns its tokens."""
    import sentencepiece

    model = BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(WORDS * 20), model_writer=model, vocab_size=60,
        hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    (folder / "sp.model").write_bytes(model.getvalue())
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    pieces = [processor.id_to_piece(id_) for id_ in range(3, len(processor))]
    (folder / "dict.txt").write_text("".join(f"{piece} 1\n" for piece in pieces), "utf-8")
    return len(pieces) + 5
