"""Studies: mappings as Python gives them, and the text of a file."""

import datetime
from pathlib import Path
from random import Random
from typing import Any

import yaml

from raysearch import study
from raysearch.recipes import RECIPES

from . import mutations
from .harness import Input, marker

SHIPPED = Path(__file__).parents[2] / "search_spaces"
SMALL = {
    "name": "small", "tasks": ["glue/rte", "glue/mrpc", "toy/grammar"], "model": "scratch:1x64",
    "space": {"LR": {"log": [1e-5, 1e-3]}, "BSZ": {"choice": [8, 16]}},
    "fixed": {"EPOCH": 2, "WARMUP": 0.1},
    "per_task": {
        "glue/rte": {"fixed": {"EPOCH": 3}, "from": {"task": "toy/grammar", "seed": "same"}},
        "glue/mrpc": {"from": "glue/rte"},
    },
    "search": {"sampler": "tpe", "trials": 4}, "confirm": {"top": 1, "seeds": [11, 12]},
    "published": [{
        "row": "BERT", "source": "a paper",
        "results": {"glue/rte": {"settings": {"BSZ": 8}, "scores": {"accuracy": 60.0}}},
    }],
}  # fmt: skip
OWN = SMALL | {
    "tasks": ["own/notes", "glue/rte", "own/panx"], "published": [],
    "own": {
        "notes": {"train": ["a.csv", "b.csv"], "hold_out": 0.1, "text": ["p", "h"], "group": "who",
                  "labels": ["no", "yes"], "metrics": ["f1", "accuracy"], "test": {"x": "t.csv"}},
        "panx": {"like": "xtreme/panx", "dev": {"xx": "d.tsv"}, "train": {"xx": "r.tsv"}},
    },
    "per_task": {"own/notes": {"fixed": {"EPOCH": 3}}},
}  # fmt: skip
SPACES: tuple[Any, ...] = (
    {"choice": []}, {"choice": [1]}, {"choice": [[1]]}, {"choice": [{}]}, {"choice": [1, True]},
    {"choice": [1, "1"]}, {"choice": 5}, {"choice": [10**400]}, {"choice": [float("nan")]},
    {"log": [0, 1]}, {"log": [1, float("inf")]}, {"log": [10**400, 10**401]}, {"uniform": [1]},
    {"uniform": ["a", "b"]}, {"int": [1, 2.5]}, {"int": [0, 10**18]}, {"int": [False, True]},
    {"steps": 3}, {"steps": -3}, {"steps": True}, {"steps": 10**30}, {"per_epoch": 0},
    {"choice": [{"steps": 3}, 3]}, {"choice": [1], "log": [1, 2]}, datetime.date(2020, 1, 1),
    b"\xff", {1, 2}, {None: None}, {True: 1},
)  # fmt: skip
TEXTS = (
    "&a [*a]", "!!python/object/apply:os.system ['touch {marker}']", "!!binary /w==", "!!set {a}",
    "!!python/name:os.system", "*nothing", "? [a, b]\n: c", "<<: {a: 1}", "2020-99-99", "0b111",
    "1:30:00", "!!int 0x" + "f" * 5000, "| \n a", "- - - -", "%YAML 9.9",
)  # fmt: skip


class Studies:
    """A shipped or small study with values changed, as a mapping or as YAML."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shipped = [yaml.safe_load(path.read_text()) for path in sorted(SHIPPED.glob("*.yaml"))]
        self.studies = [SMALL, OWN] * (2 * len(shipped)) + shipped
        fields = {name for recipe in RECIPES.values() for name in recipe.hyper.model_fields}
        self.names = tuple(sorted(fields))
        for whole in self.studies:
            study.parse(whole)

    def draw(self, random: Random) -> Input:
        """Return a mapping, or a file."""
        if random.random() < 0.25:
            return self._file(random)
        raw = mutations.of_tree(random.choice(self.studies), random, (*self.names, "model", 1, ""))
        if random.random() < 0.4 and isinstance(raw, dict):
            part = raw.setdefault(random.choice(("fixed", "space", "search", "confirm")), {})
            if isinstance(part, dict):
                strange = random.choice((*SPACES, mutations.value(random)))
                part[random.choice((*self.names, "trials", "seeds", "seed", "top"))] = strange
        return Input(shown=_shown(raw), read=lambda: self._parse(raw))

    def _parse(self, raw: Any) -> None:
        """Parse a mapping, and again what is written of it."""
        parsed = study.parse(raw)
        again = study.parse(yaml.safe_load(study.dump(parsed)), name=parsed.name)
        assert repr(again) == repr(parsed), "a study that is read otherwise than it was written"

    def _file(self, random: Random) -> Input:
        if random.random() < 0.1:
            content = _aliases(random).encode()
        else:
            text = yaml.safe_dump(random.choice(self.studies), sort_keys=False)
            lines = text.split("\n")
            if random.random() < 0.5:
                name = lines[random.randrange(len(lines))].partition(":")[0]
                strange = random.choice(TEXTS).replace("{marker}", str(marker(self.folder)))
                lines.insert(random.randrange(len(lines)), f"{name}: {strange}")
            content = mutations.of_bytes("\n".join(lines).encode(), random)
        path = self.folder / "study.yaml"
        path.write_bytes(content)
        return Input(shown=repr(content), read=lambda: study.load(path))


def _aliases(random: Random) -> str:
    """Return a few hundred letters that stand for millions of values."""
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    return "\n".join([*lines, f"tasks: *a{random.randrange(12)}", "model: bert"])


def _shown(raw: Any) -> str:
    try:
        return repr(raw)
    except RecursionError:
        return "<nested deeply>"
