"""Foreign text never reaches a terminal raw: errors, tables, logs, warnings, in any encoding."""

import io
import json
import logging
import os
import subprocess
import sys
import unicodedata
import warnings

import pytest
from rich.console import Console
from typer.testing import CliRunner

from raysearch import study
from raysearch.cli import describe, exit_codes
from raysearch.cli.commands import app
from raysearch.cli.progress import ProgressDisplay
from raysearch.errors import InputError, Problem, printable, unknown_name
from raysearch.predictions import json_files
from raysearch.results import table_formats
from raysearch.results.table_rows import Cell, Row, Table

EVIL = "a\x1b[31m\x07\x9b2J\u202eb\u200b\u2066\x00\ud800\rc"
SHOWN = r"a\x1b[31m\x07\x9b2J\u202eb\u200b\u2066\x00\ud800\rc"


def raw(text):
    """The characters of a text that no terminal should get; line feeds are the program's own."""
    kinds = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return [one for one in text if one != "\n" and unicodedata.category(one) in kinds]


def test_what_a_terminal_obeys_or_hides_is_escaped_and_the_rest_stays():
    assert printable(EVIL) == SHOWN
    assert printable(SHOWN) == SHOWN
    assert printable("a\nb") == r"a\nb"
    assert printable("a\nb", lines=True) == "a\nb"
    plain = "Grüße, 日本語, العربية, हिन्दी, 😀, a b　c\\x1b"
    assert printable(plain) == plain


@pytest.mark.slow
def test_every_control_format_and_surrogate_character_is_escaped():
    for code in range(sys.maxunicode + 1):
        one = chr(code)
        if unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp"):
            assert printable(one) != one
        # Marks of Arabic, Syriac and Egyptian numbers are seen; all else of this kind is not.
        if unicodedata.category(one) == "Cf" and not printable(one).startswith("\\"):
            name = unicodedata.name(one, "")
            assert any(mark in name for mark in ("ARABIC", "SYRIAC", "KAITHI", "EGYPTIAN")), name


def test_an_error_is_printable_in_place_text_and_source():
    error = InputError(f"{EVIL}\n.yaml", [Problem(location=f"{EVIL}\nb", text=f"{EVIL}\nmend it")])
    assert raw(str(error)) == []
    assert len(str(error).splitlines()) == 3  # the line feed of the text alone
    str(error).encode()
    assert raw(Problem(location="a", text=unknown_name("task", "b", [EVIL, "c"])).text) == []


def test_a_very_long_text_is_cut():
    error = InputError("x", [Problem(location="p" * 10**6, text="t" * 10**6)])
    assert len(str(error)) < 5000


@pytest.mark.parametrize("layout", ["md", "csv", "tex", "json"])
def test_a_table_holds_no_raw_character_in_any_layout(layout):
    write = {"md": table_formats.to_markdown, "csv": table_formats.to_csv,
             "tex": table_formats.to_latex, "json": table_formats.to_json}[layout]  # fmt: skip
    cost = Table(title=EVIL, columns=(EVIL,), rows=(Row(name=EVIL, cells=(Cell(EVIL, EVIL),)),))
    row = Row(name=EVIL, cells=(Cell(EVIL, EVIL),), system=EVIL)
    table = Table(title=EVIL, columns=(EVIL,), rows=(row,), notes=(EVIL,), cost=cost)
    text = write(table)
    assert raw(text) == []
    text.encode()
    if layout == "json":
        assert json.loads(text)["title"] == EVIL


ZERO_WIDTH = "a\u200db [red]c :bomb:"


def test_a_plan_shows_names_as_they_are_and_no_raw_character(capsys):
    read = study.parse({"tasks": ["toy/grammar"], "model": "scratch", "name": ZERO_WIDTH})
    describe.show_plan(read, {}, [f"a note of {EVIL}"])
    out = capsys.readouterr().out
    assert raw(out) == []
    assert r"a\u200db [red]c :bomb:" in out
    assert SHOWN in out.replace("\n", "")


class _Agenda:
    """What a display reads of a queue in which nothing has begun."""

    def __init__(self):
        self.study = study.parse({"tasks": ["toy/grammar"], "model": "scratch"})
        self.journal = type("Journal", (), {"trials": {}})()
        self.live = ()


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_log_line_is_escaped_and_printed_in_any_encoding(encoding):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    display = ProgressDisplay(_Agenda(), lambda: 1, Console(file=stream, width=300))
    display.note(f"{EVIL} [bold]é")
    stream.seek(0)
    line = stream.read()
    assert line == f"{SHOWN} [bold]{'é' if encoding == 'utf-8' else chr(92) + 'xe9'}\n"


def test_log_lines_and_warnings_of_libraries_are_escaped():
    factory, spell = logging.getLogRecordFactory(), warnings.formatwarning
    written = io.StringIO()
    log = logging.getLogger("toy library")
    log.addHandler(logging.StreamHandler(written))
    log.propagate = False
    try:
        exit_codes.guard_output()
        log.warning("a label %s, %d", EVIL, 3)
        log.warning("100% plain")
        assert written.getvalue() == f"a label {SHOWN}, 3\n100% plain\n"
        text = warnings.formatwarning(UserWarning(EVIL), UserWarning, "x.py", 1)
        assert raw(text) == []
    finally:
        logging.setLogRecordFactory(factory)
        warnings.formatwarning = spell


def test_wrong_arguments_are_told_escaped():
    for arguments in (["check", f"--{EVIL}"], [EVIL], ["list", "tasks", EVIL]):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 2
        assert raw(done.stderr) == []
        assert r"\x1b[31m" in done.stderr.replace("\n", "")


def test_ids_of_a_prediction_file_are_told_escaped(tmp_path):
    (tmp_path / "p\x1bq.json").write_text('{"\\u001b[2J\\ud800": 3}')
    with pytest.raises(InputError) as caught:
        json_files.read_answers(tmp_path / "p\x1bq.json")
    assert raw(str(caught.value)) == []
    assert r"\x1b[2J\ud800" in str(caught.value)


@pytest.mark.slow
def test_a_terminal_that_knows_no_unicode_gets_all_of_it_and_no_traceback(tmp_path):
    (tmp_path / "ä.yaml").write_text("tasks: [toy/grammar]\nmodel: scratch\nname: é日\n")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    code = "from raysearch import cli; cli.main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "check", "ä.yaml", "ö.yaml"],
        cwd=tmp_path, env=environment, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert rb"\xe9\u65e5" in done.stdout
    assert rb"\xf6.yaml: 1 problem" in done.stderr
    assert b"Traceback" not in done.stderr
