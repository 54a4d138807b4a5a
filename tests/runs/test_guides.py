"""The example of each guide for users of other programs, on sample data."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from support import small_data
from support.pairs import write
from support.paths import ROOT
from typer.testing import CliRunner

from raysearch.cli.commands import app
from raysearch.results.run_results import read_run

GUIDES = sorted((ROOT / "docs" / "from").glob("*.md"))
EXAMPLE = re.compile(r"<!-- runs on sample data -->\n```console\n\$ raysearch (.*)\n```\n")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with every task that a guide's example trains."""
    root, random = tmp_path_factory.mktemp("data"), np.random.default_rng(5)
    for kind in ("rte", "race", "squad"):
        getattr(small_data, f"write_{kind}")(root, random)
    for part in ("train", "dev"):
        (root / "race" / part / "high").symlink_to(root / "race" / part / "middle")

    def rows(label: bool) -> list[tuple[object, ...]]:
        texts = [(small_data.text(random), small_data.text(random)) for _ in range(24)]
        return [(n % 2, n, n, *pair) if label else (n, n, n, *pair, n % 2)
                for n, pair in enumerate(texts)]  # fmt: skip

    for part in ("train", "dev"):
        columns = ("Quality", "#1 ID", "#2 ID", "#1 String", "#2 String")
        write(root / "MRPC" / f"{part}.tsv", columns, rows(label=True))
        columns = ("id", "qid1", "qid2", "question1", "question2", "is_duplicate")
        write(root / "QQP" / f"{part}.tsv", columns, rows(label=False))
    for part in ("train-en", "dev-en", "dev-de"):
        labels = ("contradiction", "entailment", "neutral")
        pairs = [(small_data.text(random), small_data.text(random)) for _ in range(24)]
        lines = ["\t".join((*pair, labels[n % 3])) for n, pair in enumerate(pairs)]
        (root / "xtreme" / "xnli").mkdir(parents=True, exist_ok=True)
        (root / "xtreme" / "xnli" / f"{part}.tsv").write_text("\n".join(lines) + "\n")
    (root / "dicts").mkdir()
    (root / "dicts" / "en-de.txt").write_text("key schluessel\nship schiff\nold alt\n")
    return root


def test_every_guide_has_an_example() -> None:
    assert len(GUIDES) == 7
    assert all(len(EXAMPLE.findall(path.read_text(encoding="utf-8"))) == 1 for path in GUIDES)


@pytest.mark.ray
@pytest.mark.usefixtures("free_cores")
@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_the_example_of_a_guide_runs(guide: Path, data: Path, tmp_path: Path) -> None:
    (command,) = EXAMPLE.findall(guide.read_text(encoding="utf-8"))
    words = [str(data) if word == "DATA" else word for word in shlex.split(command)]
    done = CliRunner().invoke(app, [*words, "--storage", str(tmp_path)])
    assert done.exit_code == 0, done.output
    (folder,) = tmp_path.iterdir()
    run = read_run(folder)
    assert {record.status for record in run.records.trials.values()} <= {"finished", "degenerate"}
    assert run.table.row("Result").cells[0].value is not None
