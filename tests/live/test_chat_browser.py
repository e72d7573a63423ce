"""The chat example in a real Chromium; what a worker has a part in, on both."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.keys import Keys

from .browser import chromium, passing_tabs
from .chat_page import ChatTab
from .server import ROOT, HypercornServer, hypercorn_server

pytestmark = [pytest.mark.live, pytest.mark.browser]

CHAT = "examples.chat:app"
CLOSED = 3  # WebSocket.CLOSED
TYPING_LASTS = 4.0


@pytest.fixture(scope="module")
def driver() -> Iterator[Chrome]:
    with chromium() as driver:
        yield driver


@pytest.fixture
def new_tab(driver: Chrome) -> Iterator[Callable[[], ChatTab]]:
    """Open tabs in one window, of which the newest is in front, and close them."""

    def open_tab() -> ChatTab:
        driver.switch_to.new_window("tab")
        return ChatTab(driver, driver.current_window_handle)

    with passing_tabs(driver):
        yield open_tab


@pytest.fixture
def worker(request: pytest.FixtureRequest) -> str:
    """Trio, which the chat is meant for, unless the test wants `BOTH`."""
    return str(getattr(request, "param", "trio"))


BOTH = pytest.mark.parametrize("worker", ["asyncio", "trio"], indirect=True)


@pytest.fixture
def server(worker: str) -> Iterator[HypercornServer]:
    with hypercorn_server(CHAT, worker) as server:
        yield server
        server.check_log()


@pytest.fixture
def ada(server: HypercornServer, new_tab: Callable[[], ChatTab]) -> ChatTab:
    tab = new_tab()
    tab.join(server.url, "ada")
    return tab


@pytest.fixture
def grace(
    server: HypercornServer, new_tab: Callable[[], ChatTab], ada: ChatTab
) -> ChatTab:
    tab = new_tab()
    tab.join(server.url, "grace")
    return tab


@BOTH
def test_two_tabs_talk(ada: ChatTab, grace: ChatTab) -> None:
    ada.say("hello grace")
    grace.wait_said("hello grace")
    grace.say("hello ada")
    ada.wait_said("hello grace", "hello ada")
    grace.wait_said("hello grace", "hello ada")

    assert ada.texts("#log .mine .text") == ["hello grace"]
    assert grace.texts("#log .mine .text") == ["hello ada"]


def test_what_is_said_is_shown_as_text_and_never_as_markup(
    ada: ChatTab, grace: ChatTab
) -> None:
    markup = "<img src=x onerror=alert(1)><b>bold</b>"
    ada.say(markup)
    grace.wait_said(markup)

    assert grace.texts("#log img, #log .text b") == []


def test_everybody_sees_who_comes_and_who_goes(
    server: HypercornServer,
    ada: ChatTab,
    grace: ChatTab,
    new_tab: Callable[[], ChatTab],
) -> None:
    ada.wait_inside("lobby", "ada", "grace")
    grace.wait_inside("lobby", "ada", "grace")
    assert ada.notes()[-1] == "grace joined"

    grace.switch()
    grace.driver.close()

    ada.wait_note("grace left")
    assert ada.people() == ["ada"]
    # The name is free again, for somebody else.
    new_tab().join(server.url, "grace")
    ada.wait_inside("lobby", "ada", "grace")


def test_a_name_in_use_is_refused_at_the_door(
    server: HypercornServer, ada: ChatTab, new_tab: Callable[[], ChatTab]
) -> None:
    other = new_tab()
    other.open(server.url)
    other.knock("Ada")
    assert other.wait_refusal() == "Ada is taken in #lobby"
    assert other.find("#refusal").get_dom_attribute("role") == "alert"

    other.knock("grace")
    other.wait_inside("lobby", "ada", "grace")


def test_a_name_of_blanks_is_refused_with_the_reason(
    server: HypercornServer, new_tab: Callable[[], ChatTab]
) -> None:
    tab = new_tab()
    tab.open(server.url)
    tab.knock("   ")

    assert "1 to 24 visible characters" in tab.wait_refusal()


def test_nobody_gets_past_the_door_with_escape(
    server: HypercornServer, new_tab: Callable[[], ChatTab]
) -> None:
    tab = new_tab()
    tab.open(server.url)
    # Twice: a browser lets a page prevent the first only, and then the page has
    # to open its door again.
    for _ in range(2):
        tab.wait("the door", lambda: tab.shows("#nick"))
        tab.find("#nick").send_keys(Keys.ESCAPE)
    tab.wait("the door", lambda: tab.shows("#nick"))

    tab.knock("ada")
    tab.wait_inside("lobby", "ada")


def test_a_name_can_be_changed_inside(ada: ChatTab, grace: ChatTab) -> None:
    grace.find("#me").click()
    grace.knock("hopper")

    grace.wait_inside("lobby", "ada", "hopper")
    ada.wait_note("hopper joined")
    assert ada.people() == ["ada", "hopper"]
    assert ada.notes()[-2:] == ["grace left", "hopper joined"]


def test_typing_is_shown_to_the_others_and_expires_by_itself(
    ada: ChatTab, grace: ChatTab
) -> None:
    began = time.monotonic()
    grace.type("hm")
    ada.wait_typing("grace is typing…")
    assert grace.typing() == ""

    ada.wait_typing("")
    assert time.monotonic() - began >= TYPING_LASTS


def test_a_message_ends_its_senders_typing_notice_at_once(
    ada: ChatTab, grace: ChatTab
) -> None:
    grace.type("hm")
    ada.wait_typing("grace is typing…")
    grace.type(Keys.ENTER)
    ada.wait_said("hm")

    assert ada.typing() == ""


def test_a_late_comer_is_given_the_last_50_lines(
    server: HypercornServer, ada: ChatTab, new_tab: Callable[[], ChatTab]
) -> None:
    lines = [f"line {number}" for number in range(60)]
    ada.say_many(lines)
    ada.wait_said(*lines)

    late = new_tab()
    late.join(server.url, "grace")

    late.wait_said(lines[-1])
    # Her own arrival is the fiftieth.
    assert late.said() == lines[-49:]
    assert late.notes() == ["You joined"]


def test_rooms_are_listed_and_keep_to_themselves(ada: ChatTab, grace: ChatTab) -> None:
    grace.find("#room-name").send_keys("Tearoom", Keys.ENTER)
    grace.wait_inside("tearoom", "grace")
    ada.wait_note("grace left")
    grace.say("only here")
    grace.wait_said("only here")
    ada.say("only there")
    ada.wait_said("only there")
    for tab in (ada, grace):
        tab.wait_headcounts(lobby="1 person", tearoom="1 person")
    assert "only there" not in grace.said()
    assert "only here" not in ada.said()

    ada.find("[data-room=tearoom]").click()

    ada.wait_inside("tearoom", "ada", "grace")
    ada.wait_said("only here")
    ada.wait_headcounts(lobby="0 people", tearoom="2 people")


def test_a_reload_comes_back_as_the_same_person_with_the_history(
    ada: ChatTab, grace: ChatTab
) -> None:
    grace.say("remember this")
    ada.wait_said("remember this")
    ada.switch()
    ada.driver.refresh()

    ada.wait_inside("lobby", "ada", "grace")
    ada.wait_said("remember this")


def test_a_connection_that_broke_unnoticed_does_not_hold_its_name(
    ada: ChatTab, grace: ChatTab
) -> None:
    # The old socket stays open and silent, as after a change of networks.
    ada.run(
        "window.stale = wire.socket; stale.onclose = stale.onmessage = null;"
        "wire.socket = null; wire.open();"
    )
    ada.wait_state("connected")
    ada.wait(
        "the old socket's end", lambda: ada.run("return stale.readyState") == CLOSED
    )

    ada.say("still me")
    grace.wait_said("still me")
    # Nothing happened, as far as the others are concerned.
    assert grace.people() == ["ada", "grace"]
    assert grace.notes()[-1] == "You joined"


def test_a_second_tab_that_is_the_same_one_takes_over_without_a_tug_of_war(
    server: HypercornServer, ada: ChatTab, new_tab: Callable[[], ChatTab]
) -> None:
    # What duplicating a tab does: the copy has the original's session storage.
    copy = new_tab()
    copy.open(server.url)
    key = ada.run("return sessionStorage.getItem('key')")
    copy.run(
        "sessionStorage.setItem('key', arguments[0]);"
        "sessionStorage.setItem('nick', 'ada'); location.reload()",
        key,
    )

    copy.wait_inside("lobby", "ada")
    ada.wait_state("replaced")
    assert ada.find("#why").text == "This chat is open in another tab"

    ada.find("#now").click()
    ada.wait_state("connected")
    copy.wait_state("replaced")


@BOTH
def test_the_page_comes_back_by_itself_when_the_server_does(
    worker: str, new_tab: Callable[[], ChatTab]
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
        assert tab.shows("#strip")
    # Two attempts are never so close that this text is missed for long.
    grace.wait("the seconds", lambda: " s" in grace.find("#why").text)
    # What is written meanwhile is kept.
    grace.say("after")
    assert grace.run("return document.getElementById('text').value") == "after"

    with hypercorn_server(CHAT, worker, port=server.port):
        for tab in (ada, grace):
            tab.wait_state("connected")
            tab.wait_inside("lobby", "ada", "grace")
            assert not tab.shows("#strip")
        assert ada.said() == ["before"]
        grace.type(Keys.ENTER)
        ada.wait_said("before", "after")


CRASHING_CHAT = """
import sys

sys.path.insert(0, {examples!r})

from chat import adapter, app, lobby


@adapter.on("crash")
async def crash(event, client, data):
    room = await lobby.open("lobby")
    room.tell("no message of a room")
"""


@BOTH
def test_a_room_that_crashed_comes_back_with_its_people(
    worker: str, tmp_path: Path, new_tab: Callable[[], ChatTab]
) -> None:
    module = tmp_path / "crashing_chat.py"
    module.write_text(CRASHING_CHAT.format(examples=str(ROOT / "examples")))
    with hypercorn_server(f"{module}:app", worker) as server:
        ada, grace = new_tab(), new_tab()
        ada.join(server.url, "ada")
        grace.join(server.url, "grace")
        ada.say("before")
        grace.wait_said("before")

        grace.run("wire.tell('crash')")

        for tab in (ada, grace):
            tab.wait_note("The room started afresh.")
            tab.wait_inside("lobby", "ada", "grace")
        ada.say("after")
        grace.wait_said("before", "after")


@pytest.fixture(scope="module")
def stranger(driver: Chrome) -> Iterator[ChatTab]:
    """A tab at the door; what is refused leaves nothing behind to share."""
    with hypercorn_server(CHAT, "trio") as server:
        tab = ChatTab(driver, driver.current_window_handle)
        tab.open(server.url)
        yield tab
        tab.go("about:blank")


@pytest.mark.parametrize(
    ("event", "data", "why"),
    [
        ("join", None, "a name is"),
        ("join", {"nick": 7, "room": "lobby"}, "a name is"),
        ("join", {"nick": "x" * 25, "room": "lobby"}, "a name is"),
        ("join", {"nick": "a\u202eb", "room": "lobby"}, "a name is"),
        ("join", {"nick": "eve", "room": "a b"}, "a room is"),
        ("join", {"nick": "eve", "room": ["lobby"]}, "a room is"),
        ("say", "hello", "a line is"),
        ("say", {"text": "x" * 2001}, "a line is"),
        ("say", {"text": "hello"}, "you are in no room"),
    ],
)
def test_what_the_page_would_not_send_is_refused(
    stranger: ChatTab, event: str, data: object, why: str
) -> None:
    answer = stranger.run_async(
        "const [event, data, done] = arguments;"
        "wire.ask(event, data).then(done, (error) => done(error.message))",
        event,
        data,
    )

    assert why in answer


def test_a_hidden_tab_counts_in_its_title_what_it_has_not_shown(
    ada: ChatTab, grace: ChatTab
) -> None:
    counted = "(2) #lobby · Greenroom"
    # All of this in grace's tab, in front of ada's.
    grace.say("one")
    grace.say("two")
    grace.wait("a count", lambda: counted in grace.titles())

    ada.wait("no count", lambda: counted not in ada.titles())


def test_the_log_stays_where_the_reader_scrolled_to(
    ada: ChatTab, grace: ChatTab
) -> None:
    ada.devtools("Page.bringToFront")
    lines = [f"line {number}" for number in range(60)]
    grace.say_many(lines)
    ada.wait_said(*lines)
    ada.wait("the end in view", lambda: ada.distance_to_end() < 2)

    ada.run("document.getElementById('log').scrollTop = 100")
    ada.wait("the scrolling noticed", lambda: not ada.run("return chat.following"))
    grace.say_many(["news"])
    ada.wait_said("news")
    assert ada.shows("#jump")
    assert ada.distance_to_end() > 200

    ada.find("#jump").click()
    ada.wait("the end in view", lambda: ada.distance_to_end() < 2)
    assert not ada.shows("#jump")


def test_on_a_phone_nothing_overflows_and_the_rooms_are_a_drawer(
    server: HypercornServer,
) -> None:
    with chromium() as driver:
        tab = ChatTab(driver, driver.current_window_handle)
        tab.devtools(
            "Emulation.setDeviceMetricsOverride",
            width=390,
            height=844,
            deviceScaleFactor=2,
            mobile=True,
        )
        tab.join(server.url, "a-name-of-24-characters-", "a-room-of-24-characters-")
        tab.say("unbroken" * 40)
        tab.wait_said("unbroken" * 40)

        # What is too wide widens the page of a phone, and zooms it out.
        widths = "return [innerWidth, document.documentElement.scrollWidth]"
        assert tab.run(widths) == [390, 390]
        assert not tab.shows("#rooms")
        tab.find("[popovertarget=rooms]").click()
        tab.wait("the drawer", lambda: tab.shows("#rooms"))
        driver.switch_to.active_element.send_keys(Keys.ESCAPE)
        tab.wait("no drawer", lambda: not tab.shows("#rooms"))
