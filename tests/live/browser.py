"""A real Chromium for the live tests: Debian's, headless, with a fresh profile."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

# A test that is marked `browser` only runs where both are installed.
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
CHROMEDRIVER = shutil.which("chromedriver") or "/usr/bin/chromedriver"

# Nothing here leaves the machine, and a container has neither a sandbox nor a GPU.
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium(*, width: int = 1280, height: int = 800) -> Iterator[Chrome]:
    """A driver of its own Chromium, which is gone at the end with its profile."""
    profile = tempfile.mkdtemp(prefix="greenroom-chromium-")
    options = ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.add_argument(f"--window-size={width},{height}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    try:
        # Naming the driver keeps selenium from looking for one on the network.
        driver = Chrome(options=options, service=Service(CHROMEDRIVER))
        try:
            yield driver
        finally:
            driver.quit()
    finally:
        # Chromium's last writes may still be under way when quit() returns.
        shutil.rmtree(profile, ignore_errors=True)
