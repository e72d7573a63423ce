"""The page of the Nestipy example in a real Chromium, on both workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.keys import Keys

from .browser import Tab, chromium, passing_tabs
from .server import HypercornServer, hypercorn_server

pytest.importorskip("nestipy")

pytestmark = [pytest.mark.live, pytest.mark.browser]

CHAT = "examples.nestipy_chat.app:app"


@pytest.fixture(scope="module")
def driver() -> Iterator[Chrome]:
    with chromium() as driver:
        yield driver


@pytest.fixture
def new_tab(driver: Chrome) -> Iterator[Callable[[str], Tab]]:
    """Open pages in tabs of one window, and close them."""

    def open_tab(url: str) -> Tab:
        driver.switch_to.new_window("tab")
        tab = Tab(driver, driver.current_window_handle)
        tab.go(url)
        return tab

    with passing_tabs(driver):
        yield open_tab


@pytest.fixture
def server(worker: str) -> Iterator[HypercornServer]:
    with hypercorn_server(CHAT, worker) as server:
        yield server
        server.check_log()


def wait_for(tab: Tab, selector: str, *texts: str) -> None:
    tab.wait(f"{texts} in {selector}", lambda: tab.texts(selector) == list(texts))


def say(tab: Tab, text: str) -> None:
    tab.find("#text").send_keys(text, Keys.ENTER)


def test_two_people_talk_and_one_reads_the_archive(
    server: HypercornServer, new_tab: Callable[[str], Tab]
) -> None:
    ann = new_tab(f"{server.url}/?name=Ann")
    wait_for(ann, "#state", "Ann in lobby")
    ben = new_tab(f"{server.url}/?name=Ben")
    wait_for(ben, "#state", "Ben in lobby")

    say(ben, "hello <b>Ann</b>")
    wait_for(ann, "#log .line", "Ben: hello <b>Ann</b>")
    say(ben, "   ")
    ben.wait("a refusal", lambda: "invalid_data" in str(ben.texts("#log .error")))

    ann.find("#export").click()
    wait_for(ann, "#progress", "20000 lines, all")
    say(ann, "I have read it all")
    wait_for(ben, "#log .text", "hello <b>Ann</b>", "I have read it all")

    ben.run("socket.close()")
    ann.wait("Ben's leaving", lambda: ann.texts("#log .note")[-1:] == ["Ben left"])


def test_who_has_no_name_is_turned_away(
    server: HypercornServer, new_tab: Callable[[str], Tab]
) -> None:
    nobody = new_tab(f"{server.url}/")
    wait_for(nobody, "#state", "closed: 4401 say who you are: /ws?name=Ann")
