"""A server of S3 and EC2 on loopback, of an environment of its own, and a door in front of it.

The server is moto's. It needs packages that differ from those of raysearch, so `make test-store`
installs it in `.venv-moto`; without that, the tests on it are skipped.
"""

import json
import os
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from support.paths import ROOT

ENVIRONMENT = ROOT / ".venv-moto"
PYTHON = ENVIRONMENT / "bin" / "python"
RAW = {"Content-Type": "application/octet-stream"}
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "a-secret-of-tests"}


def missing() -> str | None:
    """Return why there is no server here; None if there is one."""
    if (ENVIRONMENT / "bin" / "moto_server").exists():
        return None
    return f"no moto_server in {ENVIRONMENT.name}, which `make test-store` makes"


class MotoServer:
    """A running server; everything that it holds is in its memory.

    Attributes:
        port: on 127.0.0.1.
        process: of the server.
    """

    def __init__(self, log: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [str(PYTHON), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
                stdout=output,
                stderr=output,
            )
        wait_until(lambda: self.process.poll() is not None or is_open(self.port), 120)
        assert self.process.poll() is None, log.read_text()[-2000:]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def make_bucket(self, name: str) -> None:
        self._ask(f"/{name}", method="PUT")

    def require_authentication(self, required: bool) -> None:
        """Refuse all calls with unknown credentials from now on, or take any again."""
        self._ask("/moto-api/reset-auth", data=b"0" if required else b"inf", headers=RAW)

    def _ask(self, path: str, **request: Any) -> bytes:
        with urllib.request.urlopen(
            urllib.request.Request(self.url + path, **request), timeout=20
        ) as answer:
            return answer.read()


class Door:
    """A port that forwards to a server while it is open, and refuses connections while closed."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._pairs: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._accept()

    def close(self) -> None:
        """End all connections and refuse further ones."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._pairs:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def open(self) -> None:
        """Forward again, at the same port."""
        self._pairs.clear()
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self._accept()

    def _accept(self) -> None:
        threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def _serve(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._pairs += [client, server]
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=_forward, args=ends, daemon=True).start()


def _forward(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while block := source.recv(1 << 16):
            sink.sendall(block)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


@contextmanager
def moto_server(log: Path) -> Iterator[MotoServer]:
    """Run a server while a `with` block runs."""
    server = MotoServer(log)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()


def run_in_environment(code: str, *arguments: str, **variables: str) -> Any:
    """Return the JSON that a program prints which runs in the server's environment."""
    output = subprocess.run(
        [str(PYTHON), "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, **variables},
    )
    assert output.returncode == 0, output.stderr[-3000:]
    return json.loads(output.stdout.splitlines()[-1])


def is_open(port: int) -> bool:
    """Return whether a port of this machine takes connections."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def wait_until(condition: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)
