"""Draws the pictures of the pages from real runs: the terminal, the report, TensorBoard.

    python docs/pictures.py [NAME ...]

PICTURES names them all; without a name all are drawn, into docs/pictures. The runs that they show
are trained first, in build/pictures, some minutes each on two cores; those that are there already
are taken. Report and TensorBoard are seen in Chromium (`apt-get install chromium`).
"""

import csv
import io
import os
import pty
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from PIL import Image
from rich.console import CONSOLE_SVG_FORMAT, Console
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
TARGET, BUILD = ROOT / "docs" / "pictures", ROOT / "build" / "pictures"
sys.path.insert(0, str(ROOT / "tests"))
from support.browser import browser  # noqa: E402

COLUMNS = 124  # of the terminal
COLORS = 96  # of a PNG, which makes it a third as large
RAYSEARCH = (sys.executable, "-c", "from raysearch.cli import main; main()")
SETTLE = 6.0  # seconds in which TensorBoard fetches and draws its data

TRAIN, DEV = 2000, 500  # examples of the made-up task
WORDS = {
    "praise": "bold bright calm clever daring elegant fresh funny gentle graceful honest lively"
    " moving playful rich sharp sincere subtle tender vivid warm wise witty",
    "blame": "bland boring clumsy coarse cold crude dreary dull faded feeble flat grim hollow lazy"
    " muddled noisy pompous shallow slow stale stiff tired vague weak",
}

TWO_TASKS = {
    "name": "two_tasks",
    "tasks": ["toy/grammar", "own/polarity"],
    "own": {"polarity": {"train": "train.csv", "dev": "dev.csv", "text": "text", "label": "label"}},
    "model": "scratch:1x64",
    "space": {
        "BSZ": {"choice": [16, 32, 64]},
        "LR": {"log": [3e-4, 6e-3]},
        "EPOCH": {"choice": [2, 4]},
        "WARMUP": {"choice": [10, 16]},
    },
    "fixed": {"max_length": 32, "evaluations": 4},
    "search": {"trials": 20, "stop_early": {"at": [0.5], "keep": 0.6}},
    "confirm": {"top": 2, "seeds": [11, 12, 13]},
    "published": [
        {
            "row": "Larger class",
            "source": "counted",
            "results": {
                "toy/grammar": {"scores": {"accuracy": 50.0}},
                "own/polarity": {"scores": {"accuracy": 54.0}},
            },
        }
    ],
}


def main() -> None:
    """Draw the pictures that are named, or all."""
    BUILD.mkdir(parents=True, exist_ok=True)
    TARGET.mkdir(exist_ok=True)
    names = sys.argv[1:] or list(PICTURES)
    if unknown := sorted(set(names) - set(PICTURES)):
        sys.exit(f"no picture named {', '.join(unknown)}; there are {', '.join(PICTURES)}")
    for name in names:
        path = TARGET / name
        PICTURES[name](path)
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")


def run(study: str, *options: str) -> str:
    """Return what `raysearch run` writes to a terminal; a run that has ended is not repeated."""
    name = Path(study).stem
    output = BUILD / f"{name}.terminal"
    if not output.exists():
        shutil.rmtree(BUILD / "runs" / name, ignore_errors=True)
        output.write_bytes(in_terminal("run", study, *options))
    return output.read_bytes().decode()


def in_terminal(*arguments: str) -> bytes:
    """Return all that a command of raysearch writes to a terminal, control sequences included."""
    reader, writer = pty.openpty()
    settings = {"COLUMNS": str(COLUMNS), "TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [*RAYSEARCH, *arguments],
        cwd=BUILD,
        env={**os.environ, **settings},
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=writer,
    )
    os.close(writer)
    parts = []
    try:
        while part := os.read(reader, 1 << 16):
            parts.append(part)
    except OSError:  # Linux's end of a terminal that no process has open
        pass
    os.close(reader)
    output = b"".join(parts)
    if process.wait():
        sys.exit(f"raysearch {' '.join(arguments)} has failed:\n{output.decode()}")
    return output


def two_tasks() -> Path:
    """Return the run folder of the study of two tasks, of which one is a table of its own."""
    rows = polarity_rows(TRAIN + DEV, seed=1)
    for name, part in (("train.csv", rows[:TRAIN]), ("dev.csv", rows[TRAIN:])):
        with (BUILD / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *part])
    (BUILD / "two_tasks.yaml").write_text(yaml.safe_dump(TWO_TASKS, sort_keys=False))
    run("two_tasks.yaml", "--data", ".")
    return BUILD / "runs" / "two_tasks"


def polarity_rows(count: int, seed: int) -> list[tuple[str, str]]:
    """Return made-up sentences with three adjectives, and what most of these do.

    About every twentieth label is wrong, so that no model scores 100.
    """
    choose, rows = random.Random(seed), {}
    words = {label: text.split() for label, text in WORDS.items()}
    while len(rows) < count:
        label, other = choose.sample(list(words), 2)
        three = [*choose.sample(words[label], 2), choose.choice(words[other])]
        choose.shuffle(three)
        thing = choose.choice(("film", "play", "song", "book"))
        text = f"the {thing} was {three[0]} , {three[1]} and {three[2]}"
        rows[text] = other if choose.random() < 0.05 else label
    return list(rows.items())


def screen_lines(output: str) -> list[str]:
    """Return the lines that a terminal shows after an output, with their colors as sequences.

    It knows what rich writes: cursor up, a line erased, colors. Nothing is written into the middle
    of a line.
    """
    lines, row = [""], 0
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", output):
        if part == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif up := re.fullmatch(r"\x1b\[(\d*)A", part):
            row -= int(up[1] or 1)
        elif part == "\x1b[2K":
            lines[row] = ""
        elif part[0] not in "\r\x1b" or part[-1] == "m":
            lines[row] += part
    return lines


def terminal(path: Path) -> None:
    """Draw the terminal of the demo: the command as typed, and what it wrote."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere)
        console.print("[bold]$ raysearch run quickstart[/bold]")
        for line in screen_lines(run("quickstart")):
            console.print(Text.from_ansi(line.rstrip()), overflow="ellipsis", no_wrap=True)
        # Without the fonts that rich would load from another host.
        form = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
        form = re.sub(r"\n\s+", "\n", form.replace("Fira Code, ", ""))
        console.save_svg(str(path), title="raysearch", code_format=form, unique_id="t")


@contextmanager
def shown(address: str, width: int, height: int, scheme: str, scale: float) -> Iterator[Any]:
    """Open a page in Chromium and yield its tab."""
    profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    with profile, browser(profile.name) as tab:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        tab.call("Emulation.setEmulatedMedia", features=features)
        tab.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 500,
        )
        tab.call("Emulation.setScrollbarsHidden", hidden=True)
        tab.call("Page.navigate", url=address)
        while not tab.of("Page.loadEventFired"):
            tab.evaluate("0")
            time.sleep(0.05)
        yield tab


def save(tab: Any, path: Path) -> None:
    """Save what a tab shows as a PNG of few colors."""
    picture = Image.open(io.BytesIO(b64decode(tab.call("Page.captureScreenshot")["data"])))
    few = picture.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


def report(
    path: Path,
    *,
    at: str = "body",
    width: int = 1080,
    height: int = 900,
    scheme: str = "light",
    scale: float = 1.0,
) -> None:
    """Draw a part of the report, from the element that a selector names down."""
    address = (two_tasks() / "report.html").as_uri()
    with shown(address, width, height, scheme, scale) as tab:
        tab.evaluate(f"document.querySelector('{at}').scrollIntoView()")
        save(tab, path)


def tensorboard(path: Path, *, tab_name: str, height: int) -> None:
    """Draw a tab of TensorBoard that shows the run, with the filters and clicks of a reader.

    Args:
        path: the picture.
        tab_name: as the address has it.
        height: in pixels.
    """
    folder = two_tasks()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    command = ["tensorboard.main", "--logdir", str(folder), "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    filters = "darkMode=false&smoothing=0&runFilter=polarity&tagFilter=dev%2F%7Ctrain%2F"
    try:
        wait_for(address)
        with shown(f"{address}/?{filters}#{tab_name}", 1280, height, "light", 1.0) as tab:
            time.sleep(SETTLE)
            tab.evaluate("document.querySelector('[aria-label=\"Close side pane\"]')?.click()")
            time.sleep(SETTLE)
            save(tab, path)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def wait_for(address: str) -> None:
    """Wait until a server answers."""
    for _ in range(300):
        try:
            urllib.request.urlopen(address).close()
            return
        except OSError:
            time.sleep(0.2)
    sys.exit(f"no answer from {address}")


PICTURES = {
    "terminal.svg": terminal,
    "report.png": report,
    "report_dark.png": partial(report, at="#own-polarity", scheme="dark", height=1450),
    "report_phone.png": partial(report, width=390, height=844, scale=1.5),
    "tensorboard.png": partial(tensorboard, tab_name="timeseries", height=620),
    "tensorboard_hparams.png": partial(tensorboard, tab_name="hparams", height=560),
}


if __name__ == "__main__":
    main()
