"""A headless Chromium that a test drives by the DevTools protocol, over two pipes."""

import json
import os
import shutil
import subprocess
import time
from contextlib import contextmanager

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--remote-debugging-pipe", "--window-size=1200,900",
)  # fmt: skip
_TIMEOUT = 60.0  # seconds for one answer


class Tab:
    """One tab. `events` holds what the browser has told of it: (method, parameters)."""

    def __init__(self, reader, writer):
        self._reader, self._writer, self._buffer, self._last, self._session = (
            reader, writer, b"", 0, None)  # fmt: skip
        self.events = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        """Send a command and return its result."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._writer, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._last:
            self.events.append((answer["method"], answer["params"]))
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def open(self, path):
        """Open a file and wait until it is loaded."""
        self.events.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        deadline = time.monotonic() + _TIMEOUT
        while not self.of("Page.loadEventFired"):
            assert time.monotonic() < deadline, "the page does not load"
            self.evaluate("0")

    def evaluate(self, code):
        """Return the value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=code, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def of(self, method):
        """Return the parameters of all events of one kind since the page was opened."""
        return [parameters for name, parameters in self.events if name == method]

    def _next(self):
        while b"\0" not in self._buffer:
            part = os.read(self._reader, 1 << 20)
            assert part, "the browser is gone"
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(line)


@contextmanager
def browser(profile):
    """Start a Chromium with a new profile folder; yield its tab."""
    to_read, to_write = os.pipe(), os.pipe()  # it reads from 3 and writes to 4
    command = [CHROMIUM, *_FLAGS, f"--user-data-dir={profile}"]
    script = 'exec "$@" 3<&"$IN" 4>&"$OUT"'
    process = subprocess.Popen(
        ["bash", "-c", script, "bash", *command],
        pass_fds=(to_read[0], to_write[1]),
        env={**os.environ, "IN": str(to_read[0]), "OUT": str(to_write[1])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_read[0])
    os.close(to_write[1])
    try:
        yield Tab(to_write[0], to_read[1])
    finally:
        os.close(to_read[1])
        process.terminate()
        process.wait(30)
        os.close(to_write[0])
