"""A headless Chromium, driven through a pipe: how a page looks at a width, and a picture of it.

Python's own library is all it needs, so that a host of the lab can run it as a program:
python3 tests/browser.py URL WIDTHxHEIGHT [PICTURE.png]
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)
SECONDS = "90"
"""After which a browser that hangs is killed; starting one takes two, on a busy machine ten."""

MEASURE = """(() => {
  const root = document.documentElement;
  const wide = [...document.querySelectorAll("body *")].filter(
    it => !it.closest("pre") && it.getBoundingClientRect().right > root.clientWidth + 0.5);
  const fingerprint = document.getElementById("fingerprint");
  return {
    width: root.clientWidth,
    scrolls: root.scrollWidth,
    sticks_out: wide.map(it => it.outerHTML.slice(0, 80)),
    fingerprint: fingerprint ? fingerprint.textContent : "",
    title: document.title,
    buttons: document.querySelectorAll("button").length,
    boxes: document.querySelectorAll("pre").length,
    paper: getComputedStyle(document.body).backgroundColor,
    smallest: Math.min(...[...document.querySelectorAll("p, li, td, dd, code, a")].map(
      it => parseFloat(getComputedStyle(it).fontSize))),
  };
})()"""


class Browser:
    """One page of one browser, by the DevTools protocol over file descriptors 3 and 4 (--remote-debugging-pipe)."""

    def __init__(self, read: int, write: int) -> None:
        self._in, self._out = read, write
        self._number = 0
        self._rest = b""
        self._loaded = False
        self.refused: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Have the page do something, and return what comes of it."""
        return self._call(method, self._session, **parameters)

    def _call(self, method: str, session: str = "", **parameters: object) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        text = json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0"
        while text:
            text = text[os.write(self._out, text) :]
        while (answer := self._next()).get("id") != self._number:
            self._note(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._in, 1 << 20)
            if not part:
                raise RuntimeError("the browser ended")
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        decoded: dict[str, Any] = json.loads(message)
        return decoded

    def _note(self, event: dict[str, Any]) -> None:
        """Keep whether the page is there, and what the browser refused to load or to run."""
        self._loaded |= event.get("method") == "Page.loadEventFired"
        if event.get("method") == "Log.entryAdded":
            self.refused.append(event["params"]["entry"]["text"])

    def open(self, url: str, width: int, height: int, *, dark: bool = False, media: str = "") -> None:
        """Load a page at a width and a height in CSS pixels, by day or by night."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self._loaded = False
        self.call("Page.navigate", url=url)
        while not self._loaded:
            self._note(self._next())

    def evaluate(self, expression: str) -> Any:  # noqa: ANN401 - whatever the page answers
        """Return what an expression is in the page, as if a person had clicked for it."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, userGesture=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["text"])
        return answer["result"].get("value")

    def picture(self, path: Path) -> None:
        """Save what is seen of the page as a PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Lend a browser that knows nothing and keeps nothing.

    Raises:
        RuntimeError: No Chromium is installed.
    """
    program = shutil.which("chromium")
    if not program:
        raise RuntimeError("Chromium is not installed: apt-get install chromium")
    ours_in, theirs_out = os.pipe()
    theirs_in, ours_out = os.pipe()
    # The shell puts the ends of the pipes where the browser looks for them; dash takes no number above 9 after <&.
    script = f'exec timeout {SECONDS} "$@" 3</dev/fd/{theirs_in} 4>/dev/fd/{theirs_out}'
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        argv = ["sh", "-c", script, "sh", program, *FLAGS, "--remote-debugging-pipe", f"--user-data-dir={profile}"]
        with subprocess.Popen(
            argv, pass_fds=(theirs_in, theirs_out), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env={**os.environ, "HOME": profile},
        ) as running:  # fmt: skip
            os.close(theirs_in)
            os.close(theirs_out)
            try:
                yield Browser(ours_in, ours_out)
            finally:
                running.terminate()
                running.wait(timeout=20)
                os.close(ours_in)
                os.close(ours_out)


def main() -> None:
    """Print what a page measures, as JSON."""
    url, size, *pictures = sys.argv[1:]
    width, height = (int(part) for part in size.split("x"))
    with browser() as made:
        made.open(url, width, height)
        found = made.evaluate(MEASURE) | {"refused": made.refused}
        for picture in pictures:
            made.picture(Path(picture))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
