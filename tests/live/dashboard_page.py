"""The page of the dashboard example, as its user sees it."""

from __future__ import annotations

from typing import Any, final

from selenium.webdriver.common.keys import Keys

from .browser import Tab


@final
class DashboardTab(Tab):
    """A tab with the dashboard in it."""

    __slots__ = ()

    def sign_in(self, url: str, user: str) -> None:
        """Come in as *user*, with no hand off the keyboard."""
        self.go(url)
        self.wait("the door", lambda: self.shows("#door"))
        self.driver.switch_to.active_element.send_keys(user, Keys.ENTER)
        self.wait_state("connected")

    def close(self) -> None:
        self.switch()
        self.driver.close()
        # The driver has to be somewhere.
        self.driver.switch_to.window(self.driver.window_handles[0])

    def come_with(self, url: str, token: str) -> str:
        """Come with a token that does not hold; what the page says of it."""
        self.go(url)
        self.run("sessionStorage.setItem('token', arguments[0])", token)
        self.driver.refresh()
        self.wait("a refusal", lambda: self.shows("#refusal"))
        return self.texts("#refusal")[0]

    def token(self) -> str:
        token: str = self.run("return sessionStorage.getItem('token')")
        return token

    def press(self, selector: str) -> None:
        self.find(selector).send_keys(Keys.SPACE)

    def write(self, text: str) -> None:
        self.find("#text").send_keys(text, Keys.ENTER)

    def write_many(self, texts: list[str]) -> None:
        """Post *texts* without typing them."""
        script = "for (const text of arguments[0]) wire.tell('post', { text })"
        self.run(script, texts)

    def posts(self) -> list[str]:
        """What people have written."""
        return self.texts("#posts .person .text")

    def people(self) -> list[str]:
        return self.texts("#people .name")

    def tick(self) -> dict[str, Any]:
        """The latest measurement that has come."""
        tick: dict[str, Any] = self.run("return board.ticks.at(-1)")
        return tick

    def why(self) -> str:
        """What the strip says, if it is shown."""
        return self.find("#why").text

    def wait_state(self, *states: str) -> None:
        self.wait(
            f"the state {states}",
            lambda: self.find("#status").get_dom_attribute("data-state") in states,
        )

    def wait_people(self, *people: str) -> None:
        self.wait(f"{people} here", lambda: self.people() == list(people))

    def wait_posts(self, *texts: str) -> None:
        """Wait until *texts* are the last that people have written."""
        self.wait(
            f"{texts[-3:]} at the end",
            lambda: self.posts()[-len(texts) :] == list(texts),
        )
