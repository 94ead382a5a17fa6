"""Takes the pictures of docs/ from running servers.

    python docs/screenshots.py                  # of Prefect: `make prefect`, `make worker`, a run, then this
    python docs/screenshots.py URL QUESTION     # of `mlpo serve` at URL, which is asked the question

PREFECT_API_URL and CHROMIUM say where Prefect and the browser are. Of Prefect it shows the newest completed run of the
whole pipeline, and the form of its deployment.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlencode

import httpx
from PIL import Image
from playwright.sync_api import sync_playwright

API = os.environ.get("PREFECT_API_URL", "http://127.0.0.1:4200/api")
UI = API.removesuffix("/api")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
FOLDER = Path(__file__).parent
COLOURS = 128
"""A page of few colours needs no more, and is a fifth of the size."""
SETTLE_MILLISECONDS = 30_000
"""Virtual time for a page to load its parts and draw."""
TIMEOUT_SECONDS = 600


def newest_run() -> str:
    """Id of the newest completed run of the flow `pipeline` that ran every stage."""
    wanted = {
        "flows": {"name": {"any_": ["pipeline"]}},
        "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}},
        "sort": "START_TIME_DESC",
    }
    found = httpx.post(f"{API}/flow_runs/filter", json=wanted, timeout=60).raise_for_status().json()
    whole = [run for run in found if not run["parameters"].get("stages")]
    if not whole:
        sys.exit(f"{API} knows no completed run of the whole pipeline; run the deployment `pipeline` first")
    return str(whole[0]["id"])


def deployment() -> str:
    """Id of the deployment `pipeline`."""
    found = httpx.get(f"{API}/deployments/name/pipeline/pipeline", timeout=60)
    if found.is_client_error:
        sys.exit(f"{API} knows no deployment `pipeline`; `make deploy` first")
    return str(found.json()["id"])


def photograph(page: str, picture: Path, size: str) -> None:
    """Save a page of the UI as a small PNG."""
    if CHROMIUM is None:
        sys.exit("no Chromium on the PATH; name one in CHROMIUM")
    with tempfile.TemporaryDirectory() as scratch:
        shot = Path(scratch) / picture.name
        options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--user-data-dir={scratch}/profile"]
        options += [f"--virtual-time-budget={SETTLE_MILLISECONDS}", f"--window-size={size}", f"--screenshot={shot}"]
        subprocess.run([CHROMIUM, *options, f"{UI}{page}"], check=True, capture_output=True, timeout=TIMEOUT_SECONDS)
        save(Image.open(shot), picture)


def photograph_answer(url: str, question: str, picture: Path) -> None:
    """Ask the page of `mlpo serve`, and save it once it shows an answer."""
    with (
        sync_playwright() as driver,
        driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]) as browser,
    ):
        page = browser.new_page(viewport={"width": 800, "height": 600})
        page.goto(f"{url}/?{urlencode({'q': question})}")
        page.locator("#answer").wait_for(timeout=TIMEOUT_SECONDS * 1000)  # milliseconds
        save(Image.open(io.BytesIO(page.screenshot(full_page=True))), picture)


def save(shot: Image.Image, picture: Path) -> None:
    """As a small PNG."""
    shot.convert("RGB").quantize(COLOURS).save(picture, optimize=True)
    print(f"{picture}: {picture.stat().st_size // 1024} KB")


def main(arguments: list[str]) -> None:
    """Take both pictures of Prefect, or that of an answer."""
    if arguments:
        url, question = arguments
        photograph_answer(url, question, FOLDER / "serve.png")
        return
    photograph(f"/runs/flow-run/{newest_run()}", FOLDER / "run-graph.png", "1400,900")
    photograph(f"/deployments/deployment/{deployment()}/run", FOLDER / "run-form.png", "1400,1300")


if __name__ == "__main__":
    main(sys.argv[1:])
