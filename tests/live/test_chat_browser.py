"""The chat example in a real Chromium, on both of hypercorn's workers."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from .browser import chromium
from .server import ROOT, HypercornServer, hypercorn_server

pytestmark = [pytest.mark.live, pytest.mark.browser]

CHAT = "examples.chat:app"
SECONDS = 15.0
NOTICE_LASTS = 4.0


@final
@dataclass(frozen=True, slots=True)
class Tab:
    """One tab with the chat in it; every method works in that tab."""

    driver: Chrome
    handle: str

    def find(self, selector: str) -> WebElement:
        self.driver.switch_to.window(self.handle)
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        """What the elements say, also where they are scrolled out of sight."""
        self.driver.switch_to.window(self.handle)
        script = (
            "return [...document.querySelectorAll(arguments[0])]"
            ".map((node) => node.textContent)"
        )
        texts: list[str] = self.driver.execute_script(script, selector)
        return texts

    def wait(self, what: str, condition: Callable[[], object]) -> None:
        self.driver.switch_to.window(self.handle)
        WebDriverWait(self.driver, SECONDS, poll_frequency=0.05).until(
            lambda _: condition(), f"waiting for: {what}\nlog: {self.texts('#log li')}"
        )

    def open(self, url: str, room: str = "lobby") -> None:
        self.driver.switch_to.window(self.handle)
        self.driver.get(f"{url}/#{room}")
        self.wait_state("connected")

    def knock(self, nick: str) -> None:
        """Give *nick* at the door, with no hand off the keyboard."""
        self.wait("the door", lambda: self.find("#door").is_displayed())
        self.find("#nick").send_keys(Keys.CONTROL, "a")
        self.find("#nick").send_keys(nick, Keys.ENTER)

    def join(self, url: str, nick: str, room: str = "lobby") -> None:
        self.open(url, room)
        self.knock(nick)
        self.wait_inside(room, nick)

    def wait_inside(self, room: str, *people: str) -> None:
        self.wait(f"being in {room}", lambda: self.texts("#where") == [f"#{room}"])
        self.wait(f"no door to {room}", lambda: not self.find("#door").is_displayed())
        self.wait(f"{people} in the list", lambda: set(people) <= set(self.people()))

    def wait_state(self, *states: str) -> None:
        self.wait(
            f"the state {states}",
            lambda: self.find("#status").get_attribute("data-state") in states,
        )

    def say(self, text: str) -> None:
        self.find("#text").send_keys(text, Keys.ENTER)

    def said(self) -> list[str]:
        return self.texts("#log .text")

    def notes(self) -> list[str]:
        return self.texts("#log .note")

    def people(self) -> list[str]:
        return self.texts("#people .name")

    def wait_said(self, *texts: str) -> None:
        self.wait(f"{texts} as the last lines", lambda: self.ends(texts))

    def ends(self, texts: tuple[str, ...]) -> bool:
        return self.said()[-len(texts) :] == list(texts)

    def close(self) -> None:
        self.driver.switch_to.window(self.handle)
        self.driver.close()


@pytest.fixture(scope="module")
def driver() -> Iterator[Chrome]:
    with chromium() as driver:
        yield driver


@pytest.fixture
def new_tab(driver: Chrome) -> Iterator[Callable[[], Tab]]:
    """Open tabs of one window, of which the newest is in front, and close them."""
    keep = driver.current_window_handle

    def open_tab() -> Tab:
        driver.switch_to.new_window("tab")
        return Tab(driver, driver.current_window_handle)

    yield open_tab
    for handle in set(driver.window_handles) - {keep}:
        driver.switch_to.window(handle)
        driver.close()
    driver.switch_to.window(keep)


@pytest.fixture(params=["asyncio", "trio"])
def worker(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(worker: str) -> Iterator[HypercornServer]:
    with hypercorn_server(CHAT, worker) as server:
        yield server


@pytest.fixture
def ada(server: HypercornServer, new_tab: Callable[[], Tab]) -> Tab:
    tab = new_tab()
    tab.join(server.url, "ada")
    return tab


@pytest.fixture
def grace(server: HypercornServer, new_tab: Callable[[], Tab], ada: Tab) -> Tab:
    tab = new_tab()
    tab.join(server.url, "grace")
    return tab


def test_two_tabs_talk(ada: Tab, grace: Tab) -> None:
    ada.say("hello grace")
    grace.wait_said("hello grace")
    grace.say("hello ada")
    ada.wait_said("hello grace", "hello ada")
    grace.wait_said("hello grace", "hello ada")

    assert ada.texts("#log .mine .text") == ["hello grace"]
    assert grace.texts("#log .mine .text") == ["hello ada"]


def test_what_is_said_is_shown_as_text_and_never_as_markup(
    ada: Tab, grace: Tab
) -> None:
    markup = "<img src=x onerror=alert(1)><b>bold</b>"
    ada.say(markup)
    grace.wait_said(markup)

    assert grace.texts("#log img, #log .text b") == []


def test_everybody_sees_who_comes_and_who_goes(
    server: HypercornServer, ada: Tab, grace: Tab, new_tab: Callable[[], Tab]
) -> None:
    ada.wait_inside("lobby", "ada", "grace")
    grace.wait_inside("lobby", "ada", "grace")
    assert ada.notes()[-1] == "grace joined"

    grace.close()

    ada.wait("grace gone", lambda: ada.people() == ["ada"])
    assert ada.notes()[-1] == "grace left"
    # The name is free again, for somebody else.
    new_tab().join(server.url, "grace")
    ada.wait_inside("lobby", "ada", "grace")


def test_a_name_in_use_is_refused_at_the_door(
    server: HypercornServer, ada: Tab, new_tab: Callable[[], Tab]
) -> None:
    other = new_tab()
    other.open(server.url)
    other.knock("Ada")
    other.wait("a refusal", lambda: other.find("#refusal").is_displayed())

    assert other.texts("#refusal") == ["Ada is taken in #lobby"]
    assert other.find("#refusal").get_attribute("role") == "alert"

    other.knock("grace")
    other.wait_inside("lobby", "ada", "grace")


def test_a_name_of_blanks_is_refused_with_the_reason(
    server: HypercornServer, new_tab: Callable[[], Tab]
) -> None:
    tab = new_tab()
    tab.open(server.url)
    tab.knock("   ")
    tab.wait("a refusal", lambda: tab.find("#refusal").is_displayed())

    assert "1 to 24 characters" in tab.texts("#refusal")[0]


def test_typing_is_shown_to_the_others_and_expires_by_itself(
    ada: Tab, grace: Tab
) -> None:
    grace.find("#text").send_keys("hm")
    began = time.monotonic()
    ada.wait("the notice", lambda: ada.texts("#typing") == ["grace is typing…"])
    assert grace.texts("#typing") == [""]

    ada.wait("no notice", lambda: ada.texts("#typing") == [""])
    assert time.monotonic() - began > NOTICE_LASTS / 2


def test_a_message_ends_its_senders_typing_notice_at_once(ada: Tab, grace: Tab) -> None:
    grace.find("#text").send_keys("hm")
    ada.wait("the notice", lambda: ada.texts("#typing") == ["grace is typing…"])
    grace.find("#text").send_keys(Keys.ENTER)
    ada.wait_said("hm")

    assert ada.texts("#typing") == [""]


def test_a_late_comer_is_given_the_last_50_lines(
    server: HypercornServer, ada: Tab, new_tab: Callable[[], Tab]
) -> None:
    lines = [f"line {number}" for number in range(60)]
    ada.find("#text")
    ada.driver.execute_script(
        "for (const text of arguments[0]) wire.tell('say', { text })", lines
    )
    ada.wait_said(*lines)

    late = new_tab()
    late.join(server.url, "grace")

    late.wait_said(lines[-1])
    # Her own arrival is the fiftieth.
    assert late.said() == lines[-49:]
    assert late.notes() == ["You joined"]


def test_rooms_are_listed_and_keep_to_themselves(
    server: HypercornServer, ada: Tab, grace: Tab
) -> None:
    grace.find("#room-name").send_keys("Tea Room", Keys.ENTER)
    grace.wait_inside("tea-room", "grace")
    ada.wait("grace gone", lambda: ada.people() == ["ada"])
    grace.say("only here")
    grace.wait_said("only here")

    rooms = ["tea-room", "lobby"]
    for tab in (ada, grace):
        tab.wait("both rooms", lambda t=tab: set(t.texts("#rooms .name")) == {*rooms})
    ada.say("only there")
    ada.wait_said("only there")
    assert "only there" not in grace.said()
    assert "only here" not in ada.said()

    ada.find("[data-room=tea-room]").click()

    ada.wait_inside("tea-room", "ada", "grace")
    ada.wait_said("only here")
    ada.wait("nobody left in the lobby", lambda: headcount(ada, "lobby") == "0 people")
    assert headcount(ada, "tea-room") == "2 people"


def headcount(tab: Tab, room: str) -> str:
    return tab.texts(f"[data-room={room}] .count")[0]


def test_a_reload_comes_back_as_the_same_person_with_the_history(
    ada: Tab, grace: Tab
) -> None:
    grace.say("remember this")
    ada.wait_said("remember this")
    ada.find("body")
    ada.driver.refresh()

    ada.wait_inside("lobby", "ada", "grace")
    ada.wait_said("remember this")
    assert not ada.find("#door").is_displayed()


def test_a_connection_that_broke_unnoticed_does_not_hold_its_name(
    ada: Tab, grace: Tab
) -> None:
    ada.find("body")
    # The old socket stays open and silent, as after a change of networks.
    ada.driver.execute_script(
        "window.stale = wire.socket; stale.onclose = stale.onmessage = null;"
        "wire.socket = null; wire.open();"
    )
    ada.wait_state("connected")
    ada.wait("the old socket closed", lambda: stale_state(ada) == 3)

    ada.say("still me")
    grace.wait_said("still me")
    assert sorted(grace.people()) == ["ada", "grace"]
    # Nothing happened, as far as the others are concerned.
    assert grace.notes()[-1] == "You joined"


def stale_state(tab: Tab) -> int:
    state: int = tab.driver.execute_script("return stale.readyState")
    return state


def test_the_page_comes_back_by_itself_when_the_server_does(
    worker: str, new_tab: Callable[[], Tab]
) -> None:
    with hypercorn_server(CHAT, worker) as server:
        ada, grace = new_tab(), new_tab()
        ada.join(server.url, "ada")
        grace.join(server.url, "grace")
        ada.say("before")
        grace.wait_said("before")
        server.terminate()
        for tab in (ada, grace):
            tab.wait_state("waiting", "offline")
            tab.wait("words", lambda t=tab: "in " in t.find("#why").text)
            assert tab.find("#strip").is_displayed()
            assert tab.find("#now").is_displayed()
        # What is written meanwhile is kept.
        grace.say("after")
        assert grace.find("#text").get_property("value") == "after"

    with hypercorn_server(CHAT, worker, port=server.port):
        for tab in (ada, grace):
            tab.wait_state("connected")
            tab.wait_inside("lobby", "ada", "grace")
            assert not tab.find("#strip").is_displayed()
        assert ada.said() == ["before"]
        grace.find("#text").send_keys(Keys.ENTER)
        ada.wait_said("before", "after")


def test_a_hidden_tab_counts_in_its_title_what_it_has_not_shown(
    ada: Tab, grace: Tab
) -> None:
    assert "#lobby · Greenroom" in titles(grace)
    # Grace's tab is the newer one, in front of ada's.
    grace.say("one")
    grace.say("two")
    grace.wait_said("one", "two")
    grace.wait("a count", lambda: "(2) #lobby · Greenroom" in titles(grace))

    ada.driver.switch_to.window(ada.handle)
    ada.driver.execute_cdp_cmd("Page.bringToFront", {})
    ada.wait("no count", lambda: "(2) #lobby · Greenroom" not in titles(ada))


def titles(tab: Tab) -> list[str]:
    """The titles of all tabs, read without bringing one of them to the front."""
    targets = tab.driver.execute_cdp_cmd("Target.getTargets", {})
    return [target["title"] for target in targets["targetInfos"]]


def test_the_log_stays_where_the_reader_scrolled_to(ada: Tab, grace: Tab) -> None:
    grace.find("#text")
    grace.driver.execute_script(
        "for (let n = 0; n < 60; n++) wire.tell('say', { text: `line ${n}` })"
    )
    ada.wait_said("line 59")
    ada.wait("the end in view", lambda: distance_to_end(ada) < 2)

    ada.driver.execute_script("document.getElementById('log').scrollTop = 100")
    ada.wait("scrolled", lambda: distance_to_end(ada) > 200)
    grace.say("news")
    ada.wait_said("news")
    ada.wait("the button", lambda: ada.find("#jump").is_displayed())
    assert distance_to_end(ada) > 200

    ada.find("#jump").click()
    ada.wait("the end in view", lambda: distance_to_end(ada) < 2)
    assert not ada.find("#jump").is_displayed()


def distance_to_end(tab: Tab) -> float:
    tab.find("#log")
    distance: float = tab.driver.execute_script(
        "const log = document.getElementById('log');"
        "return log.scrollHeight - log.scrollTop - log.clientHeight"
    )
    return distance


def test_on_a_phone_nothing_overflows_and_the_rooms_are_a_drawer(
    server: HypercornServer,
) -> None:
    with chromium() as driver:
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True},
        )
        tab = Tab(driver, driver.current_window_handle)
        tab.join(server.url, "a-name-of-24-characters-", "a-room-of-24-characters-")
        tab.say("unbroken" * 40)
        tab.wait_said("unbroken" * 40)

        # What is too wide widens the page of a phone, and zooms it out.
        widths = "return [innerWidth, document.documentElement.scrollWidth]"
        assert driver.execute_script(widths) == [390, 390]
        assert not tab.find("#rooms").is_displayed()
        tab.find("[popovertarget=rooms]").click()
        tab.wait("the drawer", lambda: tab.find("#rooms").is_displayed())
        tab.find("#rooms").send_keys(Keys.ESCAPE)
        tab.wait("no drawer", lambda: not tab.find("#rooms").is_displayed())


def test_the_page_is_at_the_root_and_nothing_else_is(server: HypercornServer) -> None:
    with urllib.request.urlopen(server.url + "/") as answer:
        page = answer.read()
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert page == (ROOT / "examples" / "chat.html").read_bytes()

    head = urllib.request.Request(server.url + "/", method="HEAD")
    with urllib.request.urlopen(head) as answer:
        assert answer.headers["content-length"] == str(len(page))
        assert answer.read() == b""

    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(server.url + "/chat.py")


def test_one_command_prints_the_address_and_serves_there(
    worker: str, tmp_path: Path
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--worker", worker, "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, ROOT / "examples" / "chat.py", *options],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process, process.stdout as output:
        try:
            said = output.readline()
            while said and "Running on" not in said:
                assert f"http://127.0.0.1:{port}/" in said
                said = output.readline()
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
                assert answer.status == 200
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
