"""What the tests of scoring share."""

import pytest
from typer.testing import CliRunner

from raysearch.cli.commands import app


@pytest.fixture
def command():
    """Runs `raysearch score`; gives its exit code, output and error output."""

    def run(*arguments):
        done = CliRunner().invoke(app, ["score", *map(str, arguments)])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.stdout, done.stderr

    return run
