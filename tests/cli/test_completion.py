"""Completion in a shell: what bash offers after Tab, with the script that raysearch prints."""

import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow  # bash starts raysearch for each word

SCRIPT = """
eval "$(_RAYSEARCH_COMPLETE=source_bash raysearch)"
complete -p raysearch >&2 || exit 1
while IFS= read -r line; do
  read -ra COMP_WORDS <<< "$line"
  [[ "$line" == *" " ]] && COMP_WORDS+=("")
  COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
  COMPREPLY=()
  _raysearch_completion raysearch
  echo "${COMPREPLY[*]}"
done
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_completes_commands_options_and_studies(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "raysearch"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nfrom raysearch.cli import main\nmain()\n")
    program.chmod(0o755)
    (tmp_path / "minilm-mine.yaml").write_text("tasks: [glue/rte]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    lines = ("raysearch re", "raysearch run --dry", "raysearch check minilm", "raysearch list ",
             "raysearch run quick")  # fmt: skip
    done = subprocess.run(
        ["bash", "-c", SCRIPT],
        input="".join(f"{line}\n" for line in lines),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "resume report",
        "--dry-run",
        "minilm-mine.yaml minilm-glue",
        "tasks hyperparameters studies",
        "quickstart",
    ]
