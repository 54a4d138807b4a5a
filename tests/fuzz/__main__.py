"""Read many broken inputs, and print what became of them; exit code 1 if something went wrong.

python -m tests.fuzz --kind journals --count 10000 --seed 1"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path


def main() -> int:
    """Run the kinds that are asked for."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    sys.dont_write_bytecode = True
    from .harness import run
    from .kinds import KINDS, get

    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--kind", choices=[*KINDS, "all"], default="all")
    parser.add_argument("--count", type=int, default=10_000, help="inputs of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    options = parser.parse_args()
    numbers, failed = range(options.first, options.first + options.count), False
    for name in KINDS if options.kind == "all" else [options.kind]:
        with tempfile.TemporaryDirectory(prefix=f"fuzz-{name}-") as folder:
            sandbox = Path(folder).resolve()
            os.environ["RAYSEARCH_CACHE"] = os.environ["TMPDIR"] = folder
            tempfile.tempdir = folder
            began = time.monotonic()
            report = run(get(name), options.seed, numbers, sandbox / name)
            tempfile.tempdir = None
        counts = ", ".join(f"{count:,} {what}" for what, count in sorted(report.outcomes.items()))
        print(f"{name:<14}{options.count:>8,} inputs: {counts} ({time.monotonic() - began:.0f} s)")
        for failure, count in report.failures.most_common():
            number, shown = report.examples[failure]
            print(f"  {count:,} x {failure}\n    --seed {options.seed} --first {number} --count 1")
            print(f"    {shown.encode(errors='backslashreplace').decode()}")
        failed = failed or bool(report.failures)
        sys.stdout.flush()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
