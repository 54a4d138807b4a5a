"""Ship the studies, which lie beside the package in a clone, inside the installed package."""

from setuptools import find_packages, setup

STUDIES = "raysearch.search_spaces"

setup(
    packages=[*find_packages(include=["raysearch*"]), STUDIES],
    package_dir={STUDIES: "search_spaces"},
    package_data={
        STUDIES: ["*.yaml"],
        "raysearch": ["py.typed"],
        "raysearch.results.html_report": ["*.css", "*.js"],
    },
)
