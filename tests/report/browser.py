"""A headless Chromium, driven over a pipe by the DevTools protocol.

No package and no port are needed: Chromium reads commands from file descriptor 3 and
writes answers and events to 4, each a JSON text that ends with a zero byte.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
PATIENCE = 30.0
"""Seconds to wait for one answer."""


def find_chromium() -> str | None:
    """Return the path of a Chromium; ``COTUNE_CHROMIUM`` names another one."""
    named = os.environ.get("COTUNE_CHROMIUM")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def open_browser(profile: Path) -> Iterator[Browser]:
    """Start Chromium with an empty page, and end it."""
    program = find_chromium()
    assert program is not None
    to_child, to_us = os.pipe(), os.pipe()

    def place_pipes() -> None:
        # Both ends first to numbers that are surely free: 3 and 4 may be in use.
        reads, writes = os.dup2(to_child[0], 30), os.dup2(to_us[1], 31)
        os.dup2(reads, 3)
        os.dup2(writes, 4)

    process = subprocess.Popen(
        [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        pass_fds=(3, 4),
        preexec_fn=place_pipes,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_child[0])
    os.close(to_us[1])
    try:
        yield Browser(to_us[0], to_child[1])
    finally:
        os.close(to_child[1])
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(to_us[0])


class Browser:
    """One page, and what it complained about."""

    def __init__(self, reads: int, writes: int) -> None:
        self._reads, self._writes = reads, writes
        self._rest = b""
        self._count = 0
        self._session: str | None = None
        self.complaints: list[str] = []
        self.requests: list[str] = []
        targets = self.call("Target.getTargets")["targetInfos"]
        target = next(one["targetId"] for one in targets if one["type"] == "page")
        found = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = found["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; events on the way are kept."""
        self._count += 1
        number = self._count
        command: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self._session is not None:
            command["sessionId"] = self._session
        os.write(self._writes, json.dumps(command).encode() + b"\0")
        until = time.monotonic() + PATIENCE
        while True:
            message = self._read(until)
            if message.get("id") == number:
                assert "error" not in message, (method, message["error"])
                return message["result"]
            self._note(message)

    def run(self, code: str) -> Any:
        """Run JavaScript in the page and return its value."""
        found = self.call(
            "Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait_for(self, code: str) -> None:
        """Wait until JavaScript gives something true."""
        until = time.monotonic() + PATIENCE
        while not self.run(code):
            assert time.monotonic() < until, f"never true: {code}"
            time.sleep(0.05)

    def show(
        self, page: Path, *, width: int, height: int = 900, dark: bool = False
    ) -> None:
        """Open a file in a window of some size, and wait until charts are drawn."""
        self.complaints.clear()
        self.requests.clear()
        self.resize(width, height)
        self.set_media("", dark=dark)
        self.call("Page.navigate", url=page.resolve().as_uri())
        self.wait_for("document.documentElement?.dataset.drawn !== undefined")

    def resize(self, width: int, height: int = 900) -> None:
        """Make the window as wide as a phone, or as a desk."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    def set_media(self, media: str, *, dark: bool = False) -> None:
        """Choose screen or print, light or dark."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def picture(self, path: Path) -> None:
        """Write a picture of the whole page."""
        found = self.call(
            "Page.captureScreenshot", format="png", captureBeyondViewport=True
        )
        path.write_bytes(base64.b64decode(found["data"]))

    def _read(self, until: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select(
                [self._reads], [], [], max(0, until - time.monotonic())
            )
            assert ready, "Chromium did not answer"
            more = os.read(self._reads, 1 << 20)
            assert more, "Chromium ended"
            self._rest += more
        text, self._rest = self._rest.split(b"\0", 1)
        return json.loads(text)

    def _note(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        match message.get("method"):
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning"):
                values = [str(arg.get("value")) for arg in params["args"]]
                self.complaints.append(" ".join(values))
            case "Runtime.exceptionThrown":
                self.complaints.append(str(params["exceptionDetails"]))
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self.complaints.append(params["entry"]["text"])
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
