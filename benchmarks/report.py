"""What a report of a run costs: its size and time, and the sizes of libraries that could draw it.

    python benchmarks/report.py [--trials 1000]
    python benchmarks/report.py --run RUN
    python benchmarks/report.py --libraries

The first makes a run of so many toy trials with the product's own queue, without training. The last
fetches the libraries from PyPI and npm.
"""

import argparse
import gzip
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
SPACE = {
    "BSZ": {"choice": [16, 32, 64]},
    "LR": {"log": [5e-6, 2e-4]},
    "WARMUP": {"choice": [10, 16]},
    "weight_decay": {"uniform": [0, 0.1]},
}
PYPI = ("plotly", "matplotlib", "altair", "pygal")
NPM = {  # package -> files of it that a page would hold
    "plotly.js-basic-dist-min": ("plotly-basic.min.js",),
    "echarts": ("dist/echarts.min.js",),
    "vega": ("build/vega.min.js",),
    "vega-lite": ("build/vega-lite.min.js",),
    "vega-embed": ("build/vega-embed.min.js",),
    "@observablehq/plot": ("dist/plot.umd.min.js",),
    "d3": ("dist/d3.min.js",),
    "chart.js": ("dist/chart.umd.min.js",),
    "uplot": ("dist/uPlot.iife.min.js", "dist/uPlot.min.css"),
}


def main() -> None:
    """Measure what the options name."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000, help="of a made-up run")
    parser.add_argument("--run", type=Path, help="a run folder to measure instead")
    parser.add_argument("--libraries", action="store_true", help="measure libraries instead")
    options = parser.parse_args()
    if options.libraries:
        measure_libraries()
        return
    with tempfile.TemporaryDirectory() as place:
        measure(options.run or made_up(Path(place) / "run", options.trials), Path(place))


def made_up(folder: Path, trials: int) -> Path:
    """Make a run of toy trials; the confirmation's are among them."""
    sys.path.insert(0, str(HERE.parent / "tests"))
    from support.driven_runs import drive

    seeds, top = [11, 12, 13, 14, 15], 3
    raw = {
        "name": "large",
        "tasks": ["glue/rte"],
        "model": "scratch",
        "space": SPACE,
        "search": {"sampler": "random", "trials": trials - top * len(seeds), "stop_early": True},
        "confirm": {"top": top, "seeds": seeds},
    }
    return drive(folder, raw, lanes=8)


def measure(run: Path, place: Path) -> None:
    """Print seconds and bytes of a run's report."""
    from raysearch.results import export, html_report

    began = time.process_time()
    read = export.read_run(run)
    middle = time.process_time()
    path = html_report.write_report(read, place / "report.html", running=False)
    content = path.read_bytes()
    print(f"{len(read.records.trials):,} trials: read in {middle - began:.1f} s of CPU,")
    print(f"written in {time.process_time() - middle:.1f} s, {len(content):,} bytes,")
    print(f"{len(gzip.compress(content)):,} compressed")


def measure_libraries() -> None:
    """Print what libraries take: installed, and in each page."""
    for name in PYPI:
        with tempfile.TemporaryDirectory() as target:
            pip = [sys.executable, "-m", "pip", "install", "-q", "--target", target, name]
            subprocess.run(pip, check=True)
            files = [f for f in Path(target).rglob("*") if f.is_file()]
            own = [f for f in files if not f.relative_to(target).parts[0].startswith("numpy")]
            size = sum(f.stat().st_size for f in own) / 2**20
            print(f"{name}: {size:.0f} MiB with its dependencies, without numpy")
    for name, files in NPM.items():
        url = f"https://registry.npmjs.org/{name.replace('/', '%2f')}/latest"
        with urllib.request.urlopen(url) as answer:
            facts = json.load(answer)
        with urllib.request.urlopen(facts["dist"]["tarball"]) as answer:
            content = io.BytesIO(answer.read())
        with tarfile.open(fileobj=content) as archive:
            size = sum(archive.getmember(f"package/{file}").size for file in files)
        print(f"{name} {facts['version']} ({facts['license']}): {size:,} bytes")


if __name__ == "__main__":
    main()
