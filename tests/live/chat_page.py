"""The page of the chat example, as its user sees it."""

from __future__ import annotations

from typing import final

from selenium.webdriver.common.keys import Keys

from .browser import Tab


@final
class ChatTab(Tab):
    """A tab with the chat in it."""

    __slots__ = ()

    def open(self, url: str, room: str = "lobby") -> None:
        self.go(f"{url}/#{room}")
        self.wait_state("connected")

    def knock(self, nick: str) -> None:
        """Give *nick* at the door, with no hand off the keyboard."""
        self.wait("the door", lambda: self.shows("#door"))
        self.find("#nick").send_keys(Keys.CONTROL, "a")
        self.find("#nick").send_keys(nick, Keys.ENTER)

    def join(self, url: str, nick: str, room: str = "lobby") -> None:
        self.open(url, room)
        self.knock(nick)
        self.wait_inside(room, nick)

    def type(self, text: str) -> None:
        self.find("#text").send_keys(text)

    def say(self, text: str) -> None:
        self.find("#text").send_keys(text, Keys.ENTER)

    def say_many(self, lines: list[str]) -> None:
        """Say *lines* without typing them."""
        script = "for (const text of arguments[0]) wire.tell('say', { text })"
        self.run(script, lines)

    def said(self) -> list[str]:
        return self.texts("#log .text")

    def notes(self) -> list[str]:
        return self.texts("#log .note")

    def people(self) -> list[str]:
        return self.texts("#people .name")

    def typing(self) -> str:
        return self.texts("#typing")[0]

    def headcounts(self) -> dict[str, str]:
        """The rooms on the list, and how many are in each."""
        names = self.texts("#rooms .name")
        return dict(zip(names, self.texts("#rooms .count"), strict=True))

    def distance_to_end(self) -> float:
        """How far the log is scrolled up, in pixels."""
        distance: float = self.run(
            "const log = document.getElementById('log');"
            "return log.scrollHeight - log.scrollTop - log.clientHeight"
        )
        return distance

    def wait_inside(self, room: str, *people: str) -> None:
        self.wait(f"being in {room}", lambda: self.texts("#where") == [f"#{room}"])
        self.wait("an open door", lambda: not self.shows("#door"))
        self.wait(f"{people} here", lambda: set(people) <= set(self.people()))

    def wait_state(self, *states: str) -> None:
        self.wait(
            f"the state {states}",
            lambda: self.find("#status").get_dom_attribute("data-state") in states,
        )

    def wait_said(self, *lines: str) -> None:
        """Wait until *lines* are the last ones."""
        self.wait(
            f"{lines[-3:]} at the end",
            lambda: self.said()[-len(lines) :] == list(lines),
        )

    def wait_note(self, note: str) -> None:
        self.wait(f"the note {note!r}", lambda: note in self.notes())

    def wait_typing(self, notice: str) -> None:
        self.wait(f"the notice {notice!r}", lambda: self.typing() == notice)

    def wait_headcounts(self, **counts: str) -> None:
        self.wait(
            f"the counts {counts}", lambda: self.headcounts().items() >= counts.items()
        )

    def wait_refusal(self) -> str:
        self.wait("a refusal", lambda: self.shows("#refusal"))
        return self.texts("#refusal")[0]
