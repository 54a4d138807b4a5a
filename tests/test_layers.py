"""The layers of the package: which module may import which, read from the source.

docs/architecture.md draws them; here they are lists of packages, and a module imports only from
packages listed before its own.
"""

import ast
import re
from pathlib import Path

import pytest
from support.source import PACKAGE, trees

from raysearch.tasks import HEAD_FACTS, TASKS

LAYERS = (
    ("error_pages", "errors", "command_line", "storage", "shipped_studies", "lazy_registration"),
    ("search_space", "tasks", "metrics", "recipes", "statistics"),
    ("study",),
    ("data", "run_folder"),
    ("heads", "preflight", "results", "tracking"),
    ("models",),
    ("training",),
    ("predictions", "workers"),
    ("search",),
    ("verification", "diagnosis", "forecast"),
    ("cli", "api"),
)
ORDER = {name: index for index, name in enumerate(name for layer in LAYERS for name in layer)}

# Third-party package -> the only packages of ours that import it.
IMPORTED_BY = {
    "ray": {"workers", "search"},
    "optuna": {"search", "results"},
    "transformers": {"models"},
    "tokenizers": {"models"},
    "safetensors": {"models"},
    "tensorboard": {"results"},
    "packaging": {"diagnosis"},
    "huggingface_hub": {"preflight", "data", "results", "models"},
    "pydantic": {"search_space", "recipes", "study", "run_folder"},
    "yaml": {"study", "cli"},
    "typer": {"cli"},
    "rich": {"cli"},
    "pandas": {"results"},
    "mlflow": {"tracking"},
    "wandb": {"tracking"},
    "pyarrow": {
        "data",
        "run_folder",
        "heads",
        "results",
        "predictions",
        "search",
        "verification",
        "forecast",
    },
    "torch": {
        "recipes",
        "data",
        "heads",
        "models",
        "training",
        "predictions",
        "workers",
        "forecast",
    },
    "sentencepiece": {"models", "data"},
    "numpy": {
        "metrics",
        "statistics",
        "results",
        "data",
        "run_folder",
        "heads",
        "models",
        "training",
        "predictions",
        "workers",
        "search",
        "verification",
        "forecast",
    },
}
# Studies are read and tables are written without torch: these modules import it inside functions.
LIGHT = (
    "error_pages", "errors", "storage", "lazy_registration", "search_space", "tasks", "metrics",
    "recipes",
    "study", "run_folder", "preflight", "results", "tracking", "data/readers", "cli", "api",
    "workers/messages",
    *(f"predictions/{name}" for name in (
        "error_collection", "folders", "gold_scores", "json_files", "json_lines", "kept_files",
        "kept_gold", "kept_scores", "multilingual", "references", "result", "row_errors", "scoring",
        "split_detection", "split_names", "text_files",
    )),
    *(f"data/augmentation/{name}" for name in (
        "alignment", "code_switching", "dictionaries", "resources", "subword_sampling",
        "translations", "unigram_vocabulary",
    )),
)  # fmt: skip

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def module(path):
    """What a file is of: fit/loop.py of fit."""
    return path.parts[0].removesuffix(".py")


def walk(node, *, at_once):
    """All nodes below one; `at_once` leaves out functions and what only type checkers read."""
    for below in ast.iter_child_nodes(node):
        for_types = isinstance(below, ast.If) and ast.unparse(below.test) == "TYPE_CHECKING"
        if not (at_once and (isinstance(below, FUNCTIONS) or for_types)):
            yield below
            yield from walk(below, at_once=at_once)


def imports(path, *, at_once=False):
    """The absolute names that a file imports."""
    parts = ("raysearch", *path.parts[:-1])
    for node in walk(trees()[path], at_once=at_once):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = parts[: len(parts) - node.level + 1] if node.level else ()
            source = ".".join((*above, *([node.module] if node.module else [])))
            yield from (f"{source}.{alias.name}" for alias in node.names)


def foreign(path, **options):
    return {name.split(".")[0] for name in imports(path, **options)}


def nodes(*kinds):
    """(path, node) of every node of these kinds."""
    for path, tree in trees().items():
        yield from ((path, node) for node in ast.walk(tree) if isinstance(node, kinds))


def test_every_module_has_a_layer_and_every_layer_its_modules():
    assert {module(path) for path in trees()} - {"__init__"} == set(ORDER)


def test_the_reading_of_imports_is_right():
    found = set(imports(Path("search/trial_queue.py")))
    assert {"typing.Any", "raysearch.metrics", "raysearch.run_folder.Journal"} <= found
    assert "raysearch.search.stopping_rules.should_continue" in found
    assert "torch" in foreign(Path("recipes/finetune.py"))
    assert "torch" not in foreign(Path("recipes/finetune.py"), at_once=True)


def test_a_module_imports_only_from_what_stands_before_it():
    wrong = []
    for path in trees():
        ours = {name.split(".")[1] for name in imports(path) if name.startswith("raysearch.")}
        # The package itself only watches for transformers: what it offers comes when asked for.
        layer = ORDER.get(module(path), ORDER["lazy_registration"])
        for name in ours - {module(path), "__version__"}:
            if ORDER[name] > layer:
                wrong.append(f"{path} imports {name}, which stands above it")
    assert not wrong


def test_third_party_packages_are_imported_where_they_belong():
    assert not [
        f"{path} imports {name}"
        for path in trees()
        for name in foreign(path) & set(IMPORTED_BY)
        if module(path) not in IMPORTED_BY[name]
    ]


def test_torch_and_ray_are_not_imported_where_studies_are_read_and_tables_written():
    heavy = {"torch", "ray", "transformers", "optuna"}
    light = [path for path in trees() if path.with_suffix("").as_posix().startswith(LIGHT)]
    assert not [path for path in light if foreign(path, at_once=True) & heavy]


def code_lines(function):
    """Return how many lines a function has without its docstring."""
    first = function.body[0]
    documented = ast.get_docstring(function) is not None
    docstring = first.end_lineno - first.lineno + 1 if documented else 0
    return function.end_lineno - function.lineno + 1 - docstring


def test_modules_and_functions_stay_small():
    lines = {path: len((PACKAGE / path).read_text().splitlines()) for path in trees()}
    assert not {path: count for path, count in lines.items() if count > 400}
    assert not [
        f"{path} {node.name}"
        for path, node in nodes(ast.FunctionDef, ast.AsyncFunctionDef)
        if code_lines(node) >= 50
    ]


def test_every_module_says_what_it_is_and_public_names_what_they_are():
    assert not [path for path, tree in trees().items() if not ast.get_docstring(tree)]
    assert not [
        f"{path} {node.name}"
        for path, tree in trees().items()
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        if not node.name.startswith("_") and not ast.get_docstring(node)
    ]


def test_no_name_stands_for_nothing():
    idle = re.compile(r"^_?(utils?|common|base|helpers?|misc)$|Manager$|Handler$|^Base[A-Z]")
    names = [*(path.stem for path in trees()), *(node.name for _, node in nodes(ast.ClassDef))]
    assert not [name for name in names if idle.search(name)]


def test_no_code_asks_for_the_name_of_a_task():
    asked = re.compile(r"\btask\.name (==|!=)")
    compared = [(path, ast.unparse(node)) for path, node in nodes(ast.Compare)]
    assert not [(path, text) for path, text in compared if asked.search(text)]
    named = [(path, node.value) for path, node in nodes(ast.Constant) if node.value in TASKS]
    assert not [(path, name) for path, name in named if module(path) != "tasks"]


# Modules that may name heads: tasks have rows of them, `heads` has one module for each. What
# `models/convert` names so are the heads of fairseq's checkpoints.
OF_HEADS = ("tasks", "heads", "models/convert")
QUOTED = {repr(name) for name in HEAD_FACTS}


def names_a_head(node):
    """Whether an expression is the head of something: `task.head`, `head`."""
    return getattr(node, "attr", getattr(node, "id", "")) == "head"


def compares_a_head(node):
    """Whether a comparison asks for the name of a head; not whether something is listed for it."""
    if not any(map(names_a_head, (node.left, *node.comparators))):
        return False
    listed = isinstance(node.comparators[0], ast.Call | ast.Attribute | ast.Subscript)
    return not (isinstance(node.ops[0], ast.In | ast.NotIn) and listed)


def test_no_code_outside_the_heads_asks_for_the_name_of_a_head():
    def others(kind):
        for path, node in nodes(kind):
            if not path.as_posix().startswith(OF_HEADS):
                yield path, node

    assert not [
        f"{path}: {ast.unparse(node)}"
        for path, node in others(ast.Compare)
        if compares_a_head(node) or {ast.unparse(x) for x in ast.walk(node)} & QUOTED
    ]
    # Recipes list the heads that they train, and hyperparameters those that read them.
    assert not [
        f"{path}:{node.lineno} {node.value}"
        for path, node in others(ast.Constant)
        if node.value in set(HEAD_FACTS) and module(path) != "recipes"
    ]


@pytest.mark.parametrize(
    ("text", "compared"),
    [
        ("task.head == 'span'", True),
        ("head != other", True),
        ("task.head in ('span', 'tag')", True),
        ("task.head in SPLITTING", True),
        ("head in recipe.heads", False),
        ("task.head in read_by.get(name, (task.head,))", False),
        ("heads == 2", False),
    ],
)
def test_a_comparison_of_heads_is_seen(text, compared):
    assert compares_a_head(ast.parse(text, mode="eval").body) == compared
