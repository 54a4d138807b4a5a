"""What pyproject.toml cannot say: the studies lie beside the package in a clone, and inside it once
installed."""

from setuptools import find_packages, setup

STUDIES = "raysearch.search_spaces"

setup(
    packages=[*find_packages(include=["raysearch*"]), STUDIES],
    package_dir={STUDIES: "search_spaces"},
    package_data={STUDIES: ["*.yaml"]},
)
