from __future__ import annotations

from typing import Any

import pytest

from greenroom.adapter._dispatcher import Dispatcher, check_namespace


def one(event: str, client: object, data: object) -> None:
    """A handler."""


def two(event: str, client: object, data: object) -> None:
    """Another."""


def test_a_handler_is_found_by_event_and_namespace() -> None:
    dispatcher = Dispatcher()
    assert dispatcher.on("say", None)(one) is one
    dispatcher.on("say", "/n")(two)
    assert dispatcher.find("say", "/") is one
    assert dispatcher.find("say", "/n") is two
    assert dispatcher.find("say", "/m") is None
    assert dispatcher.find("shout", "/") is None


def test_a_later_handler_replaces_an_earlier_one() -> None:
    dispatcher = Dispatcher()
    dispatcher.on("say", "/")(one)
    dispatcher.on("say", None)(two)
    assert dispatcher.find("say", "/") is two


def test_a_star_stands_for_every_event_of_its_namespace_without_a_handler() -> None:
    dispatcher = Dispatcher()
    dispatcher.on("say", "/n")(one)
    dispatcher.on("*", "/n")(two)
    assert dispatcher.find("say", "/n") is one
    assert dispatcher.find("shout", "/n") is two
    assert dispatcher.find("shout", "/") is None


def test_a_namespace_is_known_by_its_handlers_and_the_root_always() -> None:
    dispatcher = Dispatcher()
    assert dispatcher.knows("/")
    assert not dispatcher.knows("/n")
    dispatcher.on("say", "/n")(one)
    assert dispatcher.knows("/n")


def test_others_are_called_in_the_order_of_registration() -> None:
    dispatcher = Dispatcher()
    for handlers in (dispatcher.connect, dispatcher.message, dispatcher.disconnect):
        assert dispatcher.append_to(handlers)(one) is one
        dispatcher.append_to(handlers)(two)
        assert handlers == [one, two]


@pytest.mark.parametrize("event", [None, 5, b"say"])
def test_an_event_is_a_str(event: Any) -> None:
    with pytest.raises(TypeError, match="event must be a str, got"):
        Dispatcher().on(event, None)


def test_an_event_has_a_name() -> None:
    with pytest.raises(ValueError, match="event must be a non-empty str, got ''"):
        Dispatcher().on("", None)


@pytest.mark.parametrize("namespace", [5, b"/n"])
def test_a_namespace_is_a_str(namespace: object) -> None:
    with pytest.raises(TypeError, match="namespace must be a str, got"):
        check_namespace(namespace)


@pytest.mark.parametrize("namespace", ["", "n", "n/"])
def test_a_namespace_begins_with_a_slash(namespace: str) -> None:
    with pytest.raises(ValueError, match="namespace must begin with '/', got"):
        check_namespace(namespace)


def test_no_namespace_is_the_root() -> None:
    assert check_namespace(None) == check_namespace("/") == "/"


@pytest.mark.parametrize("handler", [None, 5, "say"])
def test_a_handler_can_be_called(handler: Any) -> None:
    dispatcher = Dispatcher()
    with pytest.raises(TypeError, match="handler must be callable, got"):
        dispatcher.on("say", None)(handler)
    with pytest.raises(TypeError, match="handler must be callable, got"):
        dispatcher.append_to(dispatcher.connect)(handler)
    assert dispatcher.find("say", "/") is None
    assert dispatcher.connect == []
