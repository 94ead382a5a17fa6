"""A real browser, driven over the DevTools protocol: headless Chromium types, clicks, and is looked at.

    python -m tests.serving.browser URL QUESTION FILE.png

asks the page of `mlpo serve` at URL and keeps a small picture of the answer.
"""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from websockets.sync.client import connect

WAIT_SECONDS = 60.0


class Tab:
    """One page."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._number = 0

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """A command of the protocol, and its result."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            told = json.loads(self._socket.recv(timeout=WAIT_SECONDS))
            if told.get("id") == self._number:
                assert "error" not in told, told
                result: dict[str, Any] = told["result"]
                return result

    def value(self, expression: str) -> Any:
        """What a line of JavaScript gives."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until it is true."""
        end = time.monotonic() + WAIT_SECONDS
        while not self.value(expression):
            assert time.monotonic() < end, f"never true: {expression}\n{self.value('document.body.innerText')}"
            time.sleep(0.1)

    def open(self, url: str, *, width: int, dark: bool = False) -> None:
        """Go to a page, in a window of this width."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && document.querySelector('select')?.options.length > 0")

    def ask(self, question: str) -> None:
        """Type and press the button, as a person does."""
        self.value("document.querySelector('input[name=q]').focus()")
        self.call("Input.insertText", text=question)
        self.value("document.querySelector('form button').click()")

    def picture(self) -> Image.Image:
        """The whole page."""
        height = self.value("document.documentElement.scrollHeight")
        clip = {"x": 0, "y": 0, "width": self.value("innerWidth"), "height": height, "scale": 1}
        shot = self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        return Image.open(io.BytesIO(base64.b64decode(shot["data"])))


@contextmanager
def chromium() -> Iterator[Tab]:
    """A fresh browser with one tab; it ends with the block."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
        command += ["--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
            try:
                with connect(_tab_address(Path(profile)), max_size=None) as socket:
                    yield Tab(socket)
            finally:
                browser.terminate()


def _tab_address(profile: Path) -> str:
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        time.sleep(0.1)
        if (profile / "DevToolsActivePort").is_file():
            port = (profile / "DevToolsActivePort").read_text().split()[0]
            tabs = [each for each in httpx.get(f"http://127.0.0.1:{port}/json/list").json() if each["type"] == "page"]
            if tabs:
                return str(tabs[0]["webSocketDebuggerUrl"])
    raise AssertionError("chromium did not start")


def main(url: str, question: str, file: str) -> None:
    """Ask, wait for the answer, and keep a small picture."""
    with chromium() as tab:
        tab.open(url, width=800)
        tab.ask(question)
        tab.until("!document.querySelector('#answer').hidden")
        tab.picture().convert("P", palette=Image.Palette.ADAPTIVE, colors=64).save(file, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
