from __future__ import annotations

import dataclasses
import pickle

import pytest

from greenroom.adapter._packets import BadFrame, Event


def test_packets_are_values() -> None:
    event = Event("say", [1], "/chat", 7)
    assert event == Event("say", [1], namespace="/chat", id=7) != Event("say", [1])
    assert dataclasses.replace(event, id=None).id is None
    assert pickle.loads(pickle.dumps(event)) == event
    assert not hasattr(event, "__dict__")
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.id = 8  # type: ignore[misc]  # that it is refused is the point


def test_a_bad_frame_reads_as_code_and_message_and_survives_pickling() -> None:
    bad = BadFrame("bad_event", "expected a name, got 5", 7)
    assert str(bad) == "bad_event: expected a name, got 5"
    again = pickle.loads(pickle.dumps(bad))
    assert (again.code, again.message, again.id) == (bad.code, bad.message, 7)
