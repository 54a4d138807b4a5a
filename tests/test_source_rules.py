"""Rules that are read from the source: what may remove, run, unpickle or trust, and where."""

import ast
from functools import cache
from pathlib import Path

import pytest
from support.source import trees

pytestmark = pytest.mark.slow  # it walks the trees of all modules, again for each rule

# What takes away, moves, cuts or links, by the attribute that is called.
REMOVES = {"unlink", "rmtree", "rmdir", "removedirs", "rename", "renames", "truncate", "ftruncate",
           "symlink", "symlink_to", "link", "hardlink_to", "copytree"}  # fmt: skip
OF_OS = {"remove", "replace"}  # lists and texts have methods of these names too
UNPICKLES = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
WALKERS = (
    Path("models/convert/fairseq_checkpoint.py"),
    Path("models/convert/inert_pickle.py"),
)  # walk pickles, running nothing
AUTO = {"from_pretrained", "from_config"}


def calls(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def called(node):
    """(what stands before the last dot, the name after it) of a call."""
    function = node.func
    if isinstance(function, ast.Attribute):
        return ast.unparse(function.value), function.attr
    return "", function.id if isinstance(function, ast.Name) else ""


def removals(tree):
    """Calls that remove, move, cut or link what lies on a disk."""
    for node in calls(tree):
        owner, name = called(node)
        of_path = name == "replace" and owner and len(node.args) == 1 and not node.keywords
        if (name in REMOVES and owner) or (owner == "os" and name in OF_OS) or of_path:
            yield ast.unparse(node)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in ("os", "shutil"):
            yield from (a.name for a in node.names if a.name in REMOVES | OF_OS)


def unpicklings(tree):
    """Imports and calls by which pickled objects would be built."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] in UNPICKLES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in UNPICKLES:
            yield node.module
    for node in calls(tree):
        owner, name = called(node)
        if owner.split(".")[0] in UNPICKLES or (name == "Unpickler"):
            yield ast.unparse(node)
        if any(word.arg == "allow_pickle" and not is_false(word.value) for word in node.keywords):
            yield ast.unparse(node)


def is_false(value):
    return isinstance(value, ast.Constant) and value.value is False


def is_true(value):
    return isinstance(value, ast.Constant) and value.value is True


def keyword(node, name):
    return next((word.value for word in node.keywords if word.arg == name), None)


def loose_torch_loads(tree):
    for node in calls(tree):
        if called(node) == ("torch", "load") and not is_true(keyword(node, "weights_only")):
            yield ast.unparse(node)


def careful(tree):
    """Names of functions that call what they are given with trust_remote_code=False, always."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            given = {argument.arg for argument in node.args.args}
            uses = [call for call in calls(node) if called(call)[1] in given]
            if uses and all(is_false(keyword(call, "trust_remote_code")) for call in uses):
                yield node.name


@cache
def careful_functions():
    """The names of the package's functions that `careful` yields."""
    return frozenset(name for tree in trees().values() for name in careful(tree))


def trusting(tree):
    """Uses of from_pretrained and from_config without trust_remote_code=False in the same call.

    One may be handed to a function that says it when it calls it: `from_hub` of the models.
    """
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Attribute) and node.attr in AUTO):
            continue
        above = parents.get(node)
        if isinstance(above, ast.Dict):  # compared, not called
            continue
        said = isinstance(above, ast.Call) and is_false(keyword(above, "trust_remote_code"))
        handed = (
            isinstance(above, ast.Call)
            and node in above.args
            and called(above)[1] in careful_functions()
        )
        if not (said or handed):
            yield ast.unparse(above if isinstance(above, ast.Call) else node)


def loose_yaml(tree):
    for node in calls(tree):
        owner, name = called(node)
        if owner == "yaml" and name in ("load", "load_all", "unsafe_load", "full_load"):
            loader = keyword(node, "Loader") or (node.args[1] if len(node.args) > 1 else None)
            if loader is None or ast.unparse(loader) not in ("yaml.SafeLoader", "yaml.CSafeLoader"):
                yield ast.unparse(node)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            bases = [ast.unparse(base) for base in node.bases]
            yield from (
                b for b in bases if b.endswith("Loader") and "Safe" not in b and "yaml" in b
            )


def evaluations(tree):
    """Calls of the built-in functions that run text, and of shells."""
    for node in calls(tree):
        owner, name = called(node)
        if not owner and name in ("eval", "exec", "compile", "__import__"):
            yield ast.unparse(node)
        if owner == "os" and name in ("system", "popen"):
            yield ast.unparse(node)
        if is_true(keyword(node, "shell")):
            yield ast.unparse(node)


def broken(rule, *allowed):
    return [
        f"{path}: {text}"
        for path, tree in trees().items()
        if not any(path == place or place in path.parents for place in allowed)
        for text in rule(tree)
    ]


def test_only_storage_removes_moves_cuts_or_links():
    assert not broken(removals, Path("storage"))


def test_nothing_is_unpickled_but_by_the_walker_that_runs_nothing():
    assert not broken(unpicklings, *WALKERS)


def test_torch_reads_weights_only():
    assert not broken(loose_torch_loads)


def test_no_model_or_tokenizer_brings_code_along():
    assert not broken(trusting)


def test_yaml_is_read_by_the_safe_loader():
    assert not broken(loose_yaml)


def test_no_text_is_run():
    assert not broken(evaluations)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (removals, "path.unlink(missing_ok=True)"),
        (removals, "shutil.rmtree(path, ignore_errors=True)"),
        (removals, "from shutil import rmtree"),
        (removals, "os.remove(path)"),
        (removals, "os.replace(one, two)"),
        (removals, "staged.replace(path)"),
        (removals, "(folder / 'weights').rename(folder / 'best')"),
        (removals, "self._file.truncate(0)"),
        (removals, "os.truncate(other, 0)"),
        (removals, "path.symlink_to(other)"),
        (unpicklings, "import pickle"),
        (unpicklings, "from cloudpickle import loads"),
        (unpicklings, "numpy.load(path, allow_pickle=True)"),
        (loose_torch_loads, "torch.load(path)"),
        (loose_torch_loads, "torch.load(path, weights_only=False)"),
        (trusting, "AutoConfig.from_pretrained(name)"),
        (trusting, "unheard_of(AutoConfig.from_pretrained, name)"),
        (trusting, "load = AutoConfig.from_pretrained"),
        (trusting, "HEADS[head].from_config(config, trust_remote_code=True)"),
        (loose_yaml, "yaml.load(text)"),
        (loose_yaml, "yaml.load(text, Loader=yaml.UnsafeLoader)"),
        (loose_yaml, "class Reader(yaml.FullLoader): pass"),
        (evaluations, "eval(text)"),
        (evaluations, "os.system(text)"),
        (evaluations, "subprocess.run(text, shell=True)"),
    ],
)
def test_a_rule_sees_what_breaks_it(rule, text):
    assert list(rule(ast.parse(text)))


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (removals, "text.replace('a', 'b')"),
        (removals, "replace(problem, location=name)"),
        (removals, "dataclasses.replace(problem, location=name)"),
        (removals, "model.eval()"),
        (loose_torch_loads, "torch.load(path, weights_only=True)"),
        (trusting, "AutoConfig.from_pretrained(name, trust_remote_code=False)"),
        (trusting, "kinds = {AutoConfig.from_pretrained: 'config.json'}"),
        (loose_yaml, "yaml.safe_load(text)"),
        (loose_yaml, "class Reader(yaml.SafeLoader): pass"),
        (evaluations, "model.eval()"),
        (evaluations, "re.compile(text)"),
    ],
)
def test_a_rule_lets_pass_what_keeps_it(rule, text):
    assert not list(rule(ast.parse(text)))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("def read(load, name): return load(name, trust_remote_code=False)", ["read"]),
        ("def read(load, name): return load(name, trust_remote_code=True)", []),
        ("def read(load, name): return load(name) or load(name, trust_remote_code=False)", []),
    ],
)
def test_a_function_is_careful_that_always_says_it(text, names):
    assert list(careful(ast.parse(text))) == names
