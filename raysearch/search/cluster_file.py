"""Checks a cluster file of Ray as `ray up` will, without a cloud's packages and without a network.

It is here because only `search` and `workers` import Ray. Ray stops at the first problem of a file;
this module reports all that its schema finds.
"""

import io
import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import ray.autoscaler
from ray.autoscaler._private.providers import _DEFAULT_CONFIGS
from ray.autoscaler._private.util import prepare_config, validate_config

from ..error_pages import CLUSTER_FILE as PAGE
from ..errors import InputError, Problem, shorten, unknown_name
from ..study.yaml_file import read_yaml

SCHEMA = Path(ray.autoscaler.__file__).parent / "ray-schema.json"
# What our cluster files have where a value of one's own belongs: EDIT, and addresses that RFC 5737
# keeps for documentation.
PLACEHOLDER = re.compile(r"\bEDIT\b|\b(?:192\.0\.2|198\.51\.100|203\.0\.113)\.\d{1,3}\b")
TOKEN = "RAY_AUTH_MODE=token"
_TYPES = {
    "integer": "a whole number", "number": "a number", "string": "a text", "array": "a list",
    "object": "a mapping", "boolean": "true or false",
}  # fmt: skip


def load_cluster(path: Path) -> dict[str, Any]:
    """Return the content of a cluster file with Ray's defaults.

    Raises:
        InputError: it is not a file that `ray up` takes, or still has places to fill in; it has
            every problem.
    """
    if not path.exists():
        text = "there is no such file; the cluster file of `ray up` would do"
        raise InputError(str(path), [Problem(location="file", text=text)], page=PAGE)
    raw, problems = read_yaml(path)
    if not isinstance(raw, dict) or not raw.keys() & {"cluster_name", "provider"}:
        text = "not a file for `ray up`, which has `cluster_name` and `provider`"
        problems.append(Problem(location="file", text=text))
        raise InputError(str(path), problems, page=PAGE)
    problems += [*_schema_problems(raw), *_placeholder_problems(raw), *_aws_problems(raw)]
    if problems:
        raise InputError(str(path), problems, page=PAGE)
    config, problems = _prepared(raw)
    if problems:
        raise InputError(str(path), problems, page=PAGE)
    return config


def security_notes(config: Mapping[str, Any]) -> list[str]:
    """Return what a valid cluster file leaves open.

    Args:
        config: of `load_cluster`.
    """
    notes = []
    for field in ("head_start_ray_commands", "worker_start_ray_commands"):
        starts = [command for command in config.get(field, ()) if "ray start" in command]
        if any(TOKEN not in command for command in starts):
            text = "whoever reaches the nodes' ports runs code there"
            notes.append(f"{field}: no {TOKEN} at `ray start`: {text}")
        if any("--dashboard-host=0.0.0.0" in command for command in starts):
            notes.append(f"{field}: the dashboard listens on all of the node's addresses")
    return notes


def _aws_problems(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what Ray's provider of AWS needs and its schema does not ask for."""
    provider, nodes = raw.get("provider"), raw.get("available_node_types")
    if not isinstance(provider, dict) or provider.get("type") != "aws":
        return
    needed = [("provider", "region", provider)]
    for name, node in nodes.items() if isinstance(nodes, dict) else ():
        config = node.get("node_config") if isinstance(node, dict) else None
        if isinstance(config, dict):
            place = f"available_node_types.{name}.node_config"
            needed.append((place, "InstanceType", config))
    for place, key, mapping in needed:
        if key not in mapping:
            there = ", ".join(map(str, mapping)) or "nothing"
            yield Problem(location=place, text=f"AWS needs `{key}`; there: {shorten(there)}")


def _schema_problems(raw: Mapping[str, Any]) -> list[Problem]:
    """Return every problem that Ray's schema finds."""
    validator = jsonschema.Draft7Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    errors = sorted(validator.iter_errors(raw), key=lambda error: list(map(str, error.path)))
    return [
        Problem(location=_location(error.absolute_path) or "file", text=text)
        for error in errors
        for text in _error_texts(error)
    ]


def _error_texts(error: Any) -> Iterator[str]:
    """Yield the messages for an error of the schema."""
    value = error.instance
    if error.validator == "additionalProperties":
        names = error.schema.get("properties", {})
        for name in value:
            if name not in names:
                yield unknown_name("field", str(name), names)
    elif error.validator == "required":
        missing = next((name for name in error.validator_value if repr(name) in error.message), "?")
        yield f"'{missing}' is missing"
    elif error.validator == "type":
        wanted = _TYPES.get(error.validator_value, error.validator_value)
        yield f"has to be {wanted}, got {shorten(repr(value))}"
    elif error.validator == "minimum":
        yield f"has to be at least {error.validator_value}, got {value}"
    else:
        yield shorten(error.message)


def _placeholder_problems(raw: Any) -> list[Problem]:
    """Return a problem for each value that is still to be filled in."""
    text = "is still to be filled in: the comment beside it says by what"
    return [
        Problem(location=_location(place), text=f"'{shorten(value)}' {text}")
        for place, value in _texts(raw)
        if PLACEHOLDER.search(value)
    ]


def _texts(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Yield the place and the value of every text in a value."""
    if isinstance(value, str):
        yield place, value
    items: Any = value.items() if isinstance(value, dict) else ()
    for key, part in enumerate(value) if isinstance(value, list) else items:
        yield from _texts(part, (*place, key))


def _location(place: Any) -> str:
    """Return a place in a file as text: available_node_types.gpu.resources.GPU, or a[0]."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return "".join(parts).removeprefix(".")


def _prepared(raw: dict[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """Return a file's content with Ray's defaults, and what Ray refuses in it."""
    provider = raw["provider"]["type"]
    if provider not in _DEFAULT_CONFIGS and provider != "external":
        text = unknown_name("provider of Ray", provider, _DEFAULT_CONFIGS)
        return {}, [Problem(location="provider.type", text=text)]
    output, log = io.StringIO(), logging.getLogger("ray")
    level = log.level
    log.setLevel(logging.ERROR)  # its handler keeps the error output that was there first
    try:
        with redirect_stdout(output), redirect_stderr(output):
            config: dict[str, Any] = prepare_config(deepcopy(raw))
            validate_config(config)
    except jsonschema.ValidationError as error:
        place = _location(error.absolute_path) or "file"
        return {}, [Problem(location=place, text=text) for text in _error_texts(error)]
    except Exception as error:  # Ray raises ValueError, AssertionError, ClickException and KeyError
        reason = str(error) or type(error).__name__
        return {}, [Problem(location="file", text=f"Ray refuses it: {' '.join(reason.split())}")]
    finally:
        log.setLevel(level)
    return config, []
