"""Check the RO-Crate description of a pack with roc-validator, in an environment of its own.

roc-validator pins rich<14, so it cannot be installed beside raysearch:

    python3 -m venv venv-roc && venv-roc/bin/pip install roc-validator==0.13.0 rocrate==0.15.0
    raysearch pack runs/quickstart --to quickstart.zip
    venv-roc/bin/python benchmarks/check_crate.py quickstart.zip

The validator reads the JSON-LD context of RO-Crate 1.1 from w3id.org. Here it gets the copy that
the package rocrate ships, so that no network is needed.
"""

import json
import sys
import tempfile
import zipfile
from importlib import resources

from rocrate_validator import __version__, services
from rocrate_validator.models import Severity, ValidationSettings
from rocrate_validator.utils.http import HttpRequester

CONTEXT = "https://w3id.org/ro/crate/1.1/context"
PROFILES = ("ro-crate-1.1", "process-run-crate-0.5")


class LocalContext:
    """A response with the context that rocrate ships."""

    status_code = 200
    url = CONTEXT
    text = resources.files("rocrate").joinpath("data/ro-crate.jsonld").read_text()

    def __init__(self):
        self.headers = {"Content-Type": "application/ld+json"}

    def json(self):
        """Return the context."""
        return json.loads(self.text)


def get(self, url, **options):
    """Return the context; every other address is refused."""
    if url == CONTEXT:
        return LocalContext()
    raise RuntimeError(f"not read: {url}")


def main():
    """Validate a pack; exit code 1 if a required or recommended property is missing."""
    HttpRequester.get = get
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        zipfile.ZipFile(sys.argv[1]).extractall(folder)
        for profile in PROFILES:
            settings = ValidationSettings(
                rocrate_uri=folder,
                profile_identifier=profile,
                requirement_severity=Severity.RECOMMENDED,
                disable_inherited_profiles_issue_reporting=False,
            )
            result = services.validate(settings)
            print(f"roc-validator {__version__}, {profile}: ", end="")
            issues = result.get_issues()
            required = [i for i in issues if i.severity >= Severity.REQUIRED]
            print(f"{len(required)} required, {len(issues) - len(required)} recommended missing")
            for issue in issues:
                print(f"  {issue.severity.name} {issue.check.identifier}: {issue.message}")
            failed = failed or bool(required)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
