"""The server of all tests of this folder, and the environment of the commands that use it."""

import pytest
from moto_server import CREDENTIALS, Door, missing, moto_server

WHY_NOT = missing()


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent.name == "store":
            item.add_marker(pytest.mark.store)
            if WHY_NOT:
                item.add_marker(pytest.mark.skip(reason=WHY_NOT))


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with moto_server(tmp_path_factory.mktemp("server") / "log") as server:
        server.make_bucket("bucket")
        yield server


@pytest.fixture(scope="session")
def door(server):
    return Door(server.port)


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch):
    """Credentials, an empty cache, and no question to the metadata service of EC2."""
    settings = {**CREDENTIALS, "AWS_EC2_METADATA_DISABLED": "true"}
    for name, value in {**settings, "RAYSEARCH_CACHE": str(tmp_path / "cache")}.items():
        monkeypatch.setenv(name, value)
