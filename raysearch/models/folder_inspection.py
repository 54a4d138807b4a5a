"""Looks at a model folder before transformers opens it: what its files are, never what they run.

It is apart because folders come from strangers. Nothing is built and nothing is allocated here: the
sizes that a configuration asks for are compared with those that its weights have."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

import torch
from safetensors import safe_open

from ..errors import InputError, Problem, shorten

MIB = 2**20
LARGEST = 16 * MIB  # bytes of a JSON file of settings
LARGEST_VOCABULARY = 512 * MIB  # bytes of tokenizer.json; the largest known have some 35 MiB
MOST_TOKENS = 10**8  # tokenizers take memory for every id up to the highest
MOST_LAYERS = 1000  # layers, blocks, groups: what a model's constructor loops over
MOST_LABELS = 100_000
LARGEST_NUMBER = 10**9  # of a whole number in config.json
SPARE = 256 * MIB  # bytes that a model may need beyond what its files hold
SHORTEST = 8  # tokens: the least max_length
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLED, PICKLED_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
_JSON = (
    "config.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    INDEX, PICKLED_INDEX,
)  # fmt: skip
_SUFFIXES = (".json", ".txt", ".model", ".safetensors", ".bin")
_LOOPS = ("layers", "n_layer", "num_block", "block_sizes", "groups", "repeats", "networks")
_ATTENTION = (None, "eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")
_WHOLE = (
    "vocab_size", "hidden_size", "num_labels", "pad_token_id", "max_position_embeddings",
    "type_vocab_size", "num_attention_heads",
)  # fmt: skip


def inspect_model_folder(folder: Path) -> None:
    """Refuse a model folder whose files cannot be what they are called.

    Raises:
        InputError: every file that is no JSON object, asks for code of its own, has a value of a
            wrong type or beyond all sizes, or names a file outside the folder.
    """
    problems: list[Problem] = []
    contents: dict[str, Mapping[str, Any]] = {}
    for name in _JSON:
        if (folder / name).exists():
            content, reason = _object(folder / name)
            problems += [_problem(folder, name, reason)] if reason else []
            contents[name] = content
    if (folder / "tokenizer.json").is_file():
        content, reason = _object(folder / "tokenizer.json", LARGEST_VOCABULARY)
        reasons = [reason] if reason else _vocabulary_problems(content)
        problems += [_problem(folder, "tokenizer.json", text) for text in reasons]
    for path in sorted(folder.iterdir()):
        if path.suffix in _SUFFIXES and not path.is_file() and path.name not in contents:
            problems.append(_problem(folder, path.name, "is no regular file"))
    if (folder / "adapter_config.json").exists():
        text = "an adapter is not read; a folder with the merged weights would do"
        problems.append(_problem(folder, "adapter_config.json", text))
    for name, content in contents.items():
        rules = _RULES.get(name, _code_problems)
        problems += [_problem(folder, name, text) for text in rules(content)]
    if problems:
        raise InputError("model", problems)


def stored_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of a folder, without reading the tensors.

    Raises:
        InputError: a file that is no whole one of its format, or holds less than its tensors take.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for path in _weight_files(folder):
        read = _safe_shapes if path.suffix == ".safetensors" else _pickled_shapes
        try:
            shapes |= read(path)
        except Exception as error:  # foreign files: either format has several kinds of errors
            text = f"cannot read '{folder}', {path.name}: {shorten(str(error))}"
            text += "; a whole copy would do"
            raise InputError("model", [Problem(location="model", text=text)]) from None
    return shapes


def _safe_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    with safe_open(path, framework="numpy") as file:
        names = list(file.keys())
        return {name: tuple(file.get_slice(name).get_shape()) for name in names}


def _pickled_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    content = torch.load(path, map_location="meta", weights_only=True)
    tensors = {n: x for n, x in content.items() if isinstance(x, torch.Tensor)}
    asked = sum(x.numel() * x.element_size() for x in tensors.values())
    if asked > 4 * path.stat().st_size + MIB:  # tied tensors stand there once
        raise ValueError(f"its tensors take {asked:,} bytes, it has {path.stat().st_size:,}")
    return {name: tuple(x.shape) for name, x in tensors.items()}


def _weight_files(folder: Path) -> list[Path]:
    """Return the files that transformers reads the weights from; none where there are none."""
    for name in (WEIGHTS, INDEX, PICKLED, PICKLED_INDEX):
        if (folder / name).is_file():
            if not name.endswith(".json"):
                return [folder / name]
            files = json.loads((folder / name).read_text(encoding="utf-8"))["weight_map"]
            return [folder / part for part in sorted(set(files.values()))]
    return []


def check_sizes(
    folder: Path, shapes: Mapping[str, tuple[int, ...]], prefix: str, head: Callable[[str], bool]
) -> None:
    """Refuse a configuration that asks for another model than the folder's weights are.

    Args:
        shapes: parameter name -> shape of the model that the configuration describes.
        prefix: what the encoder's parameters begin with, with its dot.
        head: whether a parameter may have another shape than the stored one.

    Raises:
        InputError: shapes that differ, or far more memory than the weights take.
    """
    stored = stored_shapes(folder)
    pairs = ((name, shape, _stored_as(name, prefix, stored)) for name, shape in shapes.items())
    differing = [
        f"{name} is {_sizes(own)}, config.json asks for {_sizes(shape)}"
        for name, shape, own in pairs
        if own is not None and own != shape and not head(name)
    ]
    asked, held = (4 * sum(map(math.prod, some.values())) for some in (shapes, stored))
    if differing:
        text = f"{len(differing):,} tensors of another shape: {'; '.join(differing[:3])}"
        raise InputError("model", [_problem(folder, _weight_files(folder)[0].name, text)])
    if asked > 8 * held + SPARE:
        text = (
            f"asks for {asked / 2**30:,.1f} GiB of parameters, the weights hold"
            f" {held / 2**30:,.1f} GiB: it is the configuration of another model"
        )
        raise InputError("model", [_problem(folder, "config.json", text)])


def _stored_as(
    name: str, prefix: str, stored: Mapping[str, tuple[int, ...]]
) -> tuple[int, ...] | None:
    """Return a parameter's stored shape, whether its file has the encoder's prefix or not."""
    return stored.get(name, stored.get(name.removeprefix(prefix)))


def _sizes(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a number"


def _object(path: Path, largest: int = LARGEST) -> tuple[Mapping[str, Any], str]:
    """Return a JSON file's object, or an empty one and why there is none.

    Args:
        largest: bytes that it may have.
    """
    if not path.is_file():
        return {}, "is no regular file"
    try:
        with path.open("rb") as file:
            text = file.read(largest + 1)
        if len(text) > largest:
            return {}, f"more than {largest // MIB} MiB; no such file is so long"
        content = json.loads(text, parse_constant=_constant)
        if rb"\ud" in text.lower():  # half a pair, which no file can be written with again
            json.dumps(content, ensure_ascii=False).encode()
    except OSError as error:
        return {}, f"cannot be read: {error.strerror or error}"
    except RecursionError:
        return {}, "nested too deeply"
    except ValueError as error:
        return {}, f"no JSON: {shorten(str(error))}"
    if not isinstance(content, dict):
        return {}, f"a JSON object is needed, got {_kind(content)}"
    return content, ""


def _constant(name: str) -> float:
    if name == "NaN":
        raise ValueError("NaN is no setting")
    return float(name)


def _code_problems(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield why a file asks for code that is not transformers'."""
    if content.get("auto_map"):
        yield (
            "auto_map names code of its own, which is never run;\n"
            "a family that transformers has would do: take auto_map out of the file"
        )


def _config_problems(content: Mapping[str, Any]) -> Iterator[str]:
    yield from _code_problems(content)
    for name in ("attn_implementation", "_attn_implementation"):
        if content.get(name) not in _ATTENTION:
            yield f"{name} {_seen(content[name])} names code of its own, which is never run"
    for name in _WHOLE:
        if not _is_count(content.get(name, 0), none=True):
            yield f"{name}: a whole number is needed, got {_seen(content[name])}"
    kinds = content.get("architectures")
    if not (kinds is None or (isinstance(kinds, list) and all(isinstance(x, str) for x in kinds))):
        yield f"architectures: a list of names is needed, got {_seen(kinds)}"
    if not isinstance(content.get("problem_type"), str | None):
        yield f"problem_type: a name is needed, got {_seen(content['problem_type'])}"
    yield from _label_problems(content)
    yield from _size_problems(content)


def _label_problems(content: Mapping[str, Any]) -> Iterator[str]:
    labels = content.get("id2label")
    if labels is not None and not (
        isinstance(labels, dict)
        and sorted(labels, key=str) == sorted(map(str, range(len(labels))))
        and all(isinstance(label, str | int) for label in labels.values())
    ):
        yield f"id2label: names of the classes 0, 1, ... are needed, got {_seen(labels)}"
    count = content.get("num_labels")
    if _is_count(count) and count > MOST_LABELS:
        yield f"num_labels: at most {MOST_LABELS:,} would do, got {_seen(count)}"


def _size_problems(content: Any, name: str = "") -> Iterator[str]:
    """Yield the whole numbers, at any depth, that no model has."""
    if isinstance(content, dict):
        for key, value in content.items():
            if key not in ("id2label", "label2id", "raysearch"):
                yield from _size_problems(value, str(key))
    elif isinstance(content, list):
        for value in content[:MOST_LAYERS]:
            yield from _size_problems(value, name)
    elif isinstance(content, int) and not isinstance(content, bool):
        loops = any(word in name for word in _LOOPS) and not name.endswith(("size", "dim"))
        most = MOST_LAYERS if loops else LARGEST_NUMBER
        if abs(content) > most:
            yield f"{shorten(name)}: at most {most:,} would do, got {_seen(content)}"


def _tokenizer_problems(content: Mapping[str, Any]) -> Iterator[str]:
    yield from _code_problems(content)
    longest = content.get("model_max_length")
    many = _is_number(longest) and longest >= (SHORTEST if isinstance(longest, int) else 10**9)
    if longest is not None and not many:
        yield f"model_max_length: a number of tokens from {SHORTEST} up, got {_seen(longest)}"
    inputs = content.get("model_input_names", [])
    if not (isinstance(inputs, list) and all(isinstance(name, str) for name in inputs)):
        yield f"model_input_names: a list of names is needed, got {_seen(inputs)}"
    for name in ("vocab", "merges"):
        if isinstance(content.get(name), str):
            yield f"{name} names a file, which is not followed; its own files hold it"
    for name, value in content.items():
        if name.endswith("_file") and isinstance(value, str) and PurePath(value).name != value:
            yield f"{name}: '{shorten(value)}' is no file of this folder"
    if not isinstance(content.get("tokenizer_class"), str | None):
        yield f"tokenizer_class: a name is needed, got {_seen(content['tokenizer_class'])}"


def _vocabulary_problems(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield why tokenizer.json has no vocabulary of its own: it may name another file instead."""
    model = content.get("model")
    if not isinstance(model, dict):
        yield f"model: an object is needed, got {_seen(model)}"
        return
    for name, kinds in (("vocab", dict | list), ("merges", list)):
        if name in model and not isinstance(model[name], kinds):
            yield f"model.{name}: the vocabulary itself is needed, got {_seen(model[name])}"
    words, added = model.get("vocab"), content.get("added_tokens")
    ids = list(words.values()) if isinstance(words, dict) else []
    if isinstance(added, list):
        ids += [token.get("id", 0) for token in added if isinstance(token, dict)]
    if wrong := [one for one in ids if not _is_count(one) or not 0 <= one < MOST_TOKENS]:
        yield f"token id {wrong[0]!r:.40}: numbers from 0 to below {MOST_TOKENS:,} are needed"


def _index_problems(content: Mapping[str, Any]) -> Iterator[str]:
    files = content.get("weight_map")
    if not (isinstance(files, dict) and files and all(isinstance(x, str) for x in files.values())):
        yield f"weight_map: tensor names and their files are needed, got {_seen(files)}"
        return
    for name in sorted(set(files.values())):
        if PurePath(name).name != name or name.startswith(".") or "\\" in name or "\0" in name:
            yield f"weight_map: '{shorten(name)}' is no file of this folder"


_RULES: dict[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "config.json": _config_problems,
    "tokenizer_config.json": _tokenizer_problems,
    INDEX: _index_problems,
    PICKLED_INDEX: _index_problems,
}


def _is_count(value: Any, *, none: bool = False) -> bool:
    return (none and value is None) or (isinstance(value, int) and not isinstance(value, bool))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _seen(value: Any) -> str:
    return f"{_kind(value)} {shorten(json.dumps(value, default=str))}"


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "a truth value"}
    return names.get(type(value), "nothing" if value is None else "a number")


def _problem(folder: Path, name: str, text: str) -> Problem:
    return Problem(location="model", text=f"'{folder}', {name}: {text}")
