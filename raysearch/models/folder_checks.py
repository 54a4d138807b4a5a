"""Checks of a model folder's files before transformers opens them.

They are apart because folders may come from strangers. Nothing is built, allocated or run here: the
sizes that a configuration asks for are compared with those that its weights have.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any, TypeGuard

import torch
from safetensors import safe_open

from ..errors import InputError, Problem, shorten

MIB = 2**20
LARGEST = 16 * MIB  # bytes of a JSON file of settings
LARGEST_VOCABULARY = 512 * MIB  # bytes of tokenizer.json; the largest known have some 35 MiB
MOST_TOKENS = 10**8  # tokenizers allocate memory for every id up to the highest
MOST_LAYERS = 1000  # layers, blocks, groups: what a model's constructor loops over
MOST_LABELS = 100_000
LARGEST_NUMBER = 10**9  # of an integer in config.json
ALLOWANCE = 256 * MIB  # bytes that a model may need beyond what its files hold
SHORTEST = 8  # tokens: the least max_length
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLED, PICKLED_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
_JSON_FILES = (
    "config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    INDEX,
    PICKLED_INDEX,
)
_SUFFIXES = (".json", ".txt", ".model", ".safetensors", ".bin")
_LOOPS = ("layers", "n_layer", "num_block", "block_sizes", "groups", "repeats", "networks")
_ATTENTION = (None, "eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")
_INTEGERS = (
    "vocab_size",
    "hidden_size",
    "num_labels",
    "pad_token_id",
    "max_position_embeddings",
    "type_vocab_size",
    "num_attention_heads",
)


def inspect_model_folder(folder: Path) -> None:
    """Refuse a model folder whose files are invalid or unsafe to read.

    Args:
        folder: as transformers writes it.

    Raises:
        InputError: a file is no JSON object, asks for its own code, has a value of a wrong type or
            an impossible size, or names a file outside the folder. All such files are listed.
    """
    problems: list[Problem] = []
    contents: dict[str, Mapping[str, Any]] = {}
    for name in _JSON_FILES:
        if (folder / name).exists():
            content, reason = _read_object(folder / name)
            problems += [_problem(folder, name, reason)] if reason else []
            contents[name] = content
    if (folder / "tokenizer.json").is_file():
        content, reason = _read_object(folder / "tokenizer.json", LARGEST_VOCABULARY)
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

    Args:
        folder: with weights in safetensors or PyTorch files.

    Raises:
        InputError: a file is incomplete or of another format, or holds fewer bytes than its tensors
            take.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for path in _weight_files(folder):
        read = _safetensors_shapes if path.suffix == ".safetensors" else _pickled_shapes
        try:
            shapes |= read(path)
        except Exception as error:  # foreign files: either format has several kinds of errors
            text = f"cannot read '{folder}', {path.name}: {shorten(str(error))}"
            text += "; a whole copy would do"
            raise InputError("model", [Problem(location="model", text=text)]) from None
    return shapes


def _safetensors_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    with safe_open(path, framework="numpy") as file:
        names = list(file.keys())
        return {name: tuple(file.get_slice(name).get_shape()) for name in names}


def _pickled_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    content = torch.load(path, map_location="meta", weights_only=True)
    tensors = {n: x for n, x in content.items() if isinstance(x, torch.Tensor)}
    needed = sum(x.numel() * x.element_size() for x in tensors.values())
    if needed > 4 * path.stat().st_size + MIB:  # tied tensors are counted twice and stored once
        raise ValueError(f"its tensors take {needed:,} bytes, it has {path.stat().st_size:,}")
    return {name: tuple(x.shape) for name, x in tensors.items()}


def _weight_files(folder: Path) -> list[Path]:
    """Return the files that transformers reads the weights from; empty if there are none."""
    for name in (WEIGHTS, INDEX, PICKLED, PICKLED_INDEX):
        if (folder / name).is_file():
            if not name.endswith(".json"):
                return [folder / name]
            files = json.loads((folder / name).read_text(encoding="utf-8"))["weight_map"]
            return [folder / part for part in sorted(set(files.values()))]
    return []


def check_sizes(
    folder: Path,
    shapes: Mapping[str, tuple[int, ...]],
    prefix: str,
    may_differ: Callable[[str], bool],
) -> None:
    """Refuse a configuration that describes another model than the folder's weights.

    Args:
        folder: with the weights.
        shapes: parameter name -> shape, of the model that the configuration describes.
        prefix: what the names of the encoder's parameters begin with, including the dot.
        may_differ: parameter name -> whether its shape may differ from the stored one.

    Raises:
        InputError: shapes differ, or the model needs far more memory than the weights take.
    """
    stored = stored_shapes(folder)
    differing = []
    for name, shape in shapes.items():
        # The file may have the names of the encoder alone, without the prefix.
        stored_shape = stored.get(name, stored.get(name.removeprefix(prefix)))
        if stored_shape is not None and stored_shape != shape and not may_differ(name):
            sizes = f"{_format_shape(stored_shape)}, config.json asks for {_format_shape(shape)}"
            differing.append(f"{name} is {sizes}")
    if differing:
        text = f"{len(differing):,} tensors of another shape: {'; '.join(differing[:3])}"
        raise InputError("model", [_problem(folder, _weight_files(folder)[0].name, text)])
    needed, held = (4 * sum(map(math.prod, sizes.values())) for sizes in (shapes, stored))
    if needed > 8 * held + ALLOWANCE:
        text = (
            f"asks for {needed / 2**30:,.1f} GiB of parameters, the weights hold"
            f" {held / 2**30:,.1f} GiB: it is the configuration of another model"
        )
        raise InputError("model", [_problem(folder, "config.json", text)])


def _format_shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a number"


def _read_object(path: Path, largest: int = LARGEST) -> tuple[Mapping[str, Any], str]:
    """Return a JSON file's object and "", or an empty one and what is wrong with the file.

    `largest` is the most bytes that the file may have.
    """
    if not path.is_file():
        return {}, "is no regular file"
    try:
        with path.open("rb") as file:
            text = file.read(largest + 1)
        if len(text) > largest:
            return {}, f"more than {largest // MIB} MiB; no such file is so long"
        content = json.loads(text, parse_constant=_parse_constant)
        if rb"\ud" in text.lower():
            _refuse_half_pairs(content)
    except OSError as error:
        return {}, f"cannot be read: {error.strerror or error}"
    except RecursionError:
        return {}, "nested too deeply"
    except ValueError as error:
        return {}, f"no JSON: {shorten(str(error))}"
    if not isinstance(content, dict):
        return {}, f"a JSON object is needed, got {_kind(content)}"
    return content, ""


def _refuse_half_pairs(content: Any) -> None:
    """Raise ValueError for a text with half a surrogate pair, which cannot be saved again."""
    try:
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("it holds half a surrogate pair") from None


def _parse_constant(name: str) -> float:
    if name == "NaN":
        raise ValueError("NaN is no setting")
    return float(name)


def _code_problems(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield a problem if a file asks for code that is not transformers'."""
    if content.get("auto_map"):
        yield (
            "auto_map names code of its own, which is never run;\n"
            "a family that transformers has would do: take auto_map out of the file"
        )


def _config_problems(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield the problems of config.json."""
    yield from _code_problems(content)
    for name in ("attn_implementation", "_attn_implementation"):
        if content.get(name) not in _ATTENTION:
            yield f"{name} {_describe(content[name])} names code of its own, which is never run"
    for name in _INTEGERS:
        value = content.get(name)
        if value is not None and not _is_integer(value):
            yield f"{name}: a whole number is needed, got {_describe(value)}"
    names = content.get("architectures")
    if not (names is None or (isinstance(names, list) and all(isinstance(x, str) for x in names))):
        yield f"architectures: a list of names is needed, got {_describe(names)}"
    if not isinstance(content.get("problem_type"), str | None):
        yield f"problem_type: a name is needed, got {_describe(content['problem_type'])}"
    yield from _label_problems(content)
    yield from _size_problems(content)


def _label_problems(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield the problems of config.json's labels."""
    labels = content.get("id2label")
    if labels is not None and not (
        isinstance(labels, dict)
        and sorted(labels, key=str) == sorted(map(str, range(len(labels))))
        and all(isinstance(label, str | int) for label in labels.values())
    ):
        yield f"id2label: names of the classes 0, 1, ... are needed, got {_describe(labels)}"
    count = content.get("num_labels")
    if _is_integer(count) and count > MOST_LABELS:
        yield f"num_labels: at most {MOST_LABELS:,} would do, got {_describe(count)}"


def _size_problems(content: Any, name: str = "") -> Iterator[str]:
    """Yield the integers, at any depth, that are larger than any model's."""
    if isinstance(content, dict):
        for key, value in content.items():
            if key not in ("id2label", "label2id", "raysearch"):
                yield from _size_problems(value, str(key))
    elif isinstance(content, list):
        for value in content[:MOST_LAYERS]:
            yield from _size_problems(value, name)
    elif _is_integer(content):
        loops = any(word in name for word in _LOOPS) and not name.endswith(("size", "dim"))
        most = MOST_LAYERS if loops else LARGEST_NUMBER
        if abs(content) > most:
            yield f"{shorten(name)}: at most {most:,} would do, got {_describe(content)}"


def _tokenizer_problems(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield the problems of tokenizer_config.json."""
    yield from _code_problems(content)
    longest = content.get("model_max_length")
    # The only floats are huge numbers such as 1e30, which mean that there is no limit.
    valid = _is_number(longest) and longest >= (SHORTEST if isinstance(longest, int) else 10**9)
    if longest is not None and not valid:
        yield f"model_max_length: a number of tokens from {SHORTEST} up, got {_describe(longest)}"
    inputs = content.get("model_input_names", [])
    if not (isinstance(inputs, list) and all(isinstance(name, str) for name in inputs)):
        yield f"model_input_names: a list of names is needed, got {_describe(inputs)}"
    for name in ("vocab", "merges"):
        if isinstance(content.get(name), str):
            yield f"{name} names a file, which is not followed; its own files hold it"
    for name, value in content.items():
        if name.endswith("_file") and isinstance(value, str) and PurePath(value).name != value:
            yield f"{name}: '{shorten(value)}' is no file of this folder"
    if not isinstance(content.get("tokenizer_class"), str | None):
        yield f"tokenizer_class: a name is needed, got {_describe(content['tokenizer_class'])}"


def _vocabulary_problems(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield the problems of tokenizer.json: it may name another file in place of a vocabulary."""
    model = content.get("model")
    if not isinstance(model, dict):
        yield f"model: an object is needed, got {_describe(model)}"
        return
    for name, kinds in (("vocab", dict | list), ("merges", list)):
        if name in model and not isinstance(model[name], kinds):
            yield f"model.{name}: the vocabulary itself is needed, got {_describe(model[name])}"
    words, added = model.get("vocab"), content.get("added_tokens")
    ids = list(words.values()) if isinstance(words, dict) else []
    if isinstance(added, list):
        ids += [token.get("id", 0) for token in added if isinstance(token, dict)]
    if invalid := [id_ for id_ in ids if not _is_integer(id_) or not 0 <= id_ < MOST_TOKENS]:
        yield f"token id {invalid[0]!r:.40}: numbers from 0 to below {MOST_TOKENS:,} are needed"


def _index_problems(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield the problems of an index of weight files."""
    files = content.get("weight_map")
    if not (isinstance(files, dict) and files and all(isinstance(x, str) for x in files.values())):
        yield f"weight_map: tensor names and their files are needed, got {_describe(files)}"
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


def _is_integer(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _describe(value: Any) -> str:
    """Return the kind and the beginning of a JSON value."""
    return f"{_kind(value)} {shorten(json.dumps(value, default=str))}"


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "a truth value"}
    return names.get(type(value), "nothing" if value is None else "a number")


def _problem(folder: Path, name: str, text: str) -> Problem:
    return Problem(location="model", text=f"'{folder}', {name}: {text}")
