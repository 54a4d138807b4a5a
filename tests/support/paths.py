"""Where the project and its test data lie."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"  # absent on most machines: tests on it skip
