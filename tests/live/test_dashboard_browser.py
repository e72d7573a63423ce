"""The dashboard example in a real Chromium, on both of hypercorn's workers."""

from __future__ import annotations

import hmac
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome

from .browser import chromium
from .dashboard_page import DashboardTab
from .server import ROOT, HypercornServer, hypercorn_server

pytestmark = [pytest.mark.live, pytest.mark.browser]

DASHBOARD = "examples.dashboard:app"
# The page has a third of it to renew one.
TOKEN_SECONDS = 6.0
KEY = "the same one after a restart"


def untyped(driver: Chrome) -> Any:
    """What Selenium says nothing of the types of."""
    return driver


@pytest.fixture(scope="module")
def driver() -> Iterator[Chrome]:
    with chromium() as driver:
        yield driver
        # What the policy of the page forbids is told there.
        messages = [entry["message"] for entry in untyped(driver).get_log("browser")]
        assert not [each for each in messages if "Content Security" in each]


@pytest.fixture(scope="module")
def server(worker: str) -> Iterator[HypercornServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DASHBOARD_TOKEN_SECONDS", str(TOKEN_SECONDS))
        patch.setenv("DASHBOARD_KEY", KEY)
        with hypercorn_server(DASHBOARD, worker) as server:
            yield server
            server.check_log()


# These two stay, all through the tests of one server.


@pytest.fixture(scope="module")
def ada(driver: Chrome, server: HypercornServer) -> DashboardTab:
    tab = new_tab(driver)
    tab.sign_in(server.url, "ada")
    tab.run("window.first = { socket: wire.socket, token: session.token }")
    return tab


@pytest.fixture(scope="module")
def grace(driver: Chrome, server: HypercornServer, ada: DashboardTab) -> DashboardTab:
    tab = new_tab(driver)
    tab.sign_in(server.url, "grace")
    return tab


def new_tab(driver: Chrome) -> DashboardTab:
    """A tab in front of the others."""
    driver.switch_to.new_window("tab")
    return DashboardTab(driver, driver.current_window_handle)


def test_two_tabs_of_one_user_are_one_presence(
    server: HypercornServer,
    driver: Chrome,
    ada: DashboardTab,
    grace: DashboardTab,
) -> None:
    second = new_tab(driver)
    second.sign_in(server.url, "grace")

    for tab in (ada, grace, second):
        tab.wait_people("ada", "grace")
        assert tab.texts("#headcount") == ["2 users"]
    ada.wait("two tabs", lambda: ada.texts("#people .tabs") == ["2 tabs"])

    second.close()
    ada.wait("one tab", lambda: ada.texts("#people .tabs") == [])
    assert ada.people() == ["ada", "grace"]


def test_what_is_written_is_shown_as_text_and_never_as_markup(
    ada: DashboardTab, grace: DashboardTab
) -> None:
    markup = "<img src=x onerror=alert(1)><b>bold</b>"
    grace.write(markup)
    ada.wait_posts(markup)

    assert ada.texts("#posts img, #posts b") == []


def test_the_charts_are_drawn(ada: DashboardTab) -> None:
    shapes = "return [...document.querySelectorAll('svg[role=img] path.line')]"
    ada.wait("three ticks", lambda: ada.tick()["number"] >= 3)

    lines = ada.run(f"{shapes}.map((line) => line.getAttribute('d'))")
    assert len(lines) == 5
    for line in lines:
        assert re.fullmatch(r"M[\d.]+ [\d.]+(L[\d.]+ [\d.]+){2,}", line)
    boxes = ada.run(f"{shapes}.map((line) => line.getBoundingClientRect().width)")
    assert all(width > 5 for width in boxes)
    # What is drawn is said as well.
    label, shown = ada.run(
        "return [document.getElementById('connections').getAttribute('aria-label'),"
        " document.getElementById('connected').textContent]"
    )
    assert label == f"connections {shown}"


def test_who_comes_back_catches_up_or_is_told_that_it_cannot(
    ada: DashboardTab, grace: DashboardTab
) -> None:
    ada.write("before")
    grace.wait_posts("before")
    for away, told in (
        (["one", "two", "three"], r"Caught up: \d posts missed"),
        ([f"line {number}" for number in range(21)], "Missed too much: loaded anew"),
    ):
        ada.wait_people("ada", "grace")
        # Put out by the server, for longer than this takes.
        grace.run("wire.tell('cut', 60)")
        grace.wait_state("waiting")
        assert re.fullmatch(r"Disconnected: cut off · back in \d\d s", grace.why())
        ada.wait_people("ada")
        ada.write_many(away)
        ada.wait_posts(*away)

        grace.press("#now")
        grace.wait_state("connected")
        grace.wait_posts(*away[-19:])
        assert re.fullmatch(told, grace.texts("#caught")[0])
        if len(away) == 3:
            assert grace.posts()[-4:] == ["before", *away]
        assert len(set(grace.posts())) == len(grace.posts())


def test_a_flood_is_refused_and_ends_while_others_stay_live(
    ada: DashboardTab, grace: DashboardTab
) -> None:
    grace.press("#flood")
    counted = re.compile(r"60 sent at once: (\d+) handled, (\d+) refused\.")

    def answered() -> bool:
        found = counted.fullmatch(grace.texts("#flooded")[0])
        return found is not None and int(found[1]) + int(found[2]) == 60

    grace.wait("all answers", answered)
    refused = int(grace.texts("#flooded")[0].split()[-2])
    assert 0 < refused <= 20
    assert grace.texts("#strikes") == [f"{refused} of 30"]
    grace.wait_state("connected")

    grace.press("#flood")
    grace.wait_state("waiting")
    assert grace.why().startswith("Disconnected: too many messages · back in ")
    grace.wait("the word", lambda: "then disconnected" in grace.texts("#flooded")[0])
    number = ada.tick()["number"]
    ada.wait("a tick", lambda: ada.tick()["number"] > number)
    assert ada.tick()["counters"]["rate_limited"] > refused
    assert ada.texts("#strikes") == ["0 of 30"]
    ada.wait_state("connected")

    grace.press("#now")
    grace.wait_state("connected")
    assert grace.texts("#strikes") == ["0 of 30"]


def test_the_limits_of_the_server_are_listed(ada: DashboardTab) -> None:
    names, values = ada.texts("#limits dt"), ada.texts("#limits dd")

    assert dict(zip(names, values, strict=True)) == {
        "Messages a second": "10",
        "At once, after a silence": "40",
        "Strikes until the end": "30",
        "Connections of one address": "10",
        "Posts kept for who comes back": "20, 300 s",
    }
    assert ada.shows("#limits")


def test_who_comes_later_finds_what_was_posted_before(
    server: HypercornServer, driver: Chrome, ada: DashboardTab
) -> None:
    ada.write("for who comes later")
    ada.wait_posts("for who comes later")
    late = new_tab(driver)
    late.sign_in(server.url, "late")
    assert late.posts()[-1] == "for who comes later"
    # In the order of posting, each once.
    assert ada.posts()[-len(late.posts()) :] == late.posts()
    late.close()


def signed(user: str, seconds: float) -> str:
    """A token as the server signs it, with so many seconds left."""
    claim = f"{time.time() + seconds:.3f} {user}".encode()
    return f"{claim.hex()}.{hmac.digest(KEY.encode(), claim, 'sha256').hex()}"


def test_a_token_is_renewed_without_reconnecting(ada: DashboardTab) -> None:
    ada.wait("a renewal", lambda: ada.texts("#renewals")[0].startswith("renewed "))

    ada.wait_state("connected")
    assert ada.run("return wire.socket === first.socket")
    assert ada.token() != ada.run("return first.token")


def test_a_token_that_does_not_hold_leads_to_the_door(
    server: HypercornServer, driver: Chrome
) -> None:
    # One that lets in, and is not renewed.
    eve = new_tab(driver)
    eve.go(server.url)
    eve.run(
        "Object.assign(session, { user: 'eve', token: arguments[0], prolong() {} });"
        "session.until = Date.now() + 60000; wire.open()",
        signed("eve", 2),
    )
    eve.wait_state("connected")

    # And two that do not.
    tab = new_tab(driver)
    token = signed("eve", -1)
    assert tab.come_with(server.url, token) == "That token has expired."
    claim, _, proof = token.partition(".")
    forged = f"{claim}.{'0' * len(proof)}"
    refusal = tab.come_with(server.url, forged)
    assert refusal == "This server has not signed that token."
    assert tab.find("#refusal").get_dom_attribute("role") == "alert"
    assert tab.run("return document.activeElement.id") == "user"
    tab.close()

    eve.wait_state("out")
    assert eve.texts("#refusal") == ["Your token has expired. Sign in again."]
    assert eve.shows("#door")
    eve.close()


@contextmanager
def served(folder: Path, port: int = 0) -> Generator[HypercornServer]:
    """The dashboard by ``python -m greenroom serve``, killed at the end."""
    log_path = folder / "log"
    command = [sys.executable, "-m", "greenroom", "serve", DASHBOARD]
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [*command, "--worker", "trio", "--port", str(port)],
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "DASHBOARD_KEY": KEY},
        )
    try:
        HypercornServer(process, port, log_path).wait_accepting()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", log_path.read_text())
        assert found is not None
        yield HypercornServer(process, int(found[1]), log_path)
    finally:
        process.kill()
        process.wait()


def test_who_is_told_when_to_come_back_after_a_restart_does_so(
    tmp_path: Path, driver: Chrome
) -> None:
    tab = new_tab(driver)
    with served(tmp_path) as server:
        tab.sign_in(server.url, "ada")
        tab.write("before")
        tab.wait_posts("before")
        tab.run(
            "const wait = wire.wait; window.waits = [];"
            "wire.wait = (...told) => { waits.push(told); wait.apply(wire, told) };"
            "wire.socket.addEventListener('close',"
            " ({ code, reason }) => { window.farewell = [code, reason] })"
        )
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(15) == 0

    with served(tmp_path, server.port):
        tab.wait("the news", lambda: tab.run("return window.farewell"))
        code, reason = tab.run("return farewell")
        why, seconds = tab.run("return waits[0]")
        assert (code, why) == (1012, "The server restarts")
        assert reason == f"going away; retry-after={seconds:.1f}"
        # Nobody has to sign in: the key is the same. But the posts are gone.
        tab.wait_state("connected")
        tab.wait("the word", lambda: tab.texts("#caught") != ["not interrupted yet"])
        assert tab.texts("#caught") == ["Missed too much: loaded anew"]
        assert tab.posts() == []

        # A renewal that is under way does not sign in again who signs out.
        kept = tab.run_async(
            "const tell = () => arguments[0](sessionStorage.getItem('token'));"
            "session.renew().then(tell, tell); signOut()"
        )
        assert kept == ""
        assert tab.shows("#door")
    tab.close()
