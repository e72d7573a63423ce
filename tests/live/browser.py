"""A real Chromium for the live tests: Debian's, headless, with a fresh profile."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

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

WAIT_SECONDS = 15.0
POLL_SECONDS = 0.05


@contextmanager
def chromium(*, width: int = 1280, height: int = 800) -> Generator[Chrome]:
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
            # A page that does not come fails the test, and not the whole run.
            driver.set_page_load_timeout(WAIT_SECONDS)
            driver.set_script_timeout(WAIT_SECONDS)
            yield driver
        finally:
            driver.quit()
    finally:
        # Chromium's last writes may still be under way when quit() returns.
        shutil.rmtree(profile, ignore_errors=True)


@contextmanager
def passing_tabs(driver: Chrome) -> Generator[None]:
    """Close, in the end, all tabs but the one in which the driver is now."""
    keep = driver.current_window_handle
    yield
    for handle in set(driver.window_handles) - {keep}:
        driver.switch_to.window(handle)
        driver.close()
    driver.switch_to.window(keep)


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab; every method works in it, whichever tab the driver was in.

    To the pages, the tab that was worked in last is visible and others are hidden.
    """

    driver: Chrome
    handle: str

    def switch(self) -> None:
        self.driver.switch_to.window(self.handle)

    def go(self, url: str) -> None:
        self.switch()
        self.driver.get(url)

    def titles(self) -> list[str]:
        """The titles of all tabs, also of the hidden ones."""
        targets = self.devtools("Target.getTargets")["targetInfos"]
        return [target["title"] for target in targets]

    def find(self, selector: str) -> WebElement:
        self.switch()
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def shows(self, selector: str) -> bool:
        return self.find(selector).is_displayed()

    def texts(self, selector: str) -> list[str]:
        """What the elements say, also where they are scrolled out of sight."""
        script = (
            "return [...document.querySelectorAll(arguments[0])]"
            ".map((node) => node.textContent)"
        )
        texts: list[str] = self.run(script, selector)
        return texts

    def wait(self, what: str, condition: Callable[[], object]) -> None:
        """Poll until *condition* holds; *what* is the message if it never does."""
        WebDriverWait(self.driver, WAIT_SECONDS, POLL_SECONDS).until(
            lambda _: condition(), f"waited for {what}"
        )

    # Selenium leaves the types of arguments open.

    def run(self, script: str, *arguments: object) -> Any:
        """What *script* returns."""
        self.switch()
        return self.driver.execute_script(  # pyright: ignore[reportUnknownMemberType]
            script, *arguments
        )

    def run_async(self, script: str, *arguments: object) -> Any:
        """What *script* passes to the function that is its last argument."""
        self.switch()
        return self.driver.execute_async_script(  # pyright: ignore[reportUnknownMemberType]
            script, *arguments
        )

    def devtools(self, command: str, **parameters: object) -> Any:
        """The answer to a command of the Chrome DevTools protocol."""
        self.switch()
        return self.driver.execute_cdp_cmd(  # pyright: ignore[reportUnknownMemberType]
            command, parameters
        )
