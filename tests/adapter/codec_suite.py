"""What every codec promises, whatever its wire looks like.

In a codec's own test file: ``TestMine = codec_suite(Mine)``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.adapter._codec import Codec, NotEncodable
from greenroom.adapter._packets import (
    Ack,
    AckFailure,
    BadFrame,
    Event,
    Frame,
    Packet,
)

json_values: st.SearchStrategy[object] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)
"""Every kind of value that comes out of JSON as it went in."""

names = st.text(min_size=1, max_size=256).filter(lambda name: name[:2] != "__")
namespaces = st.text(max_size=255).map(lambda name: "/" + name)
ids = st.integers(0, 2**53)

any_text = st.text(st.characters() | st.sampled_from("\ud800\udfff"))
"""Lone surrogates too: what a lenient server may pass on."""

# Text that is nearly of the kind codecs read gets further into them than
# random characters do.
almost_json = st.text('[]{}",:\\ 1en\ud800', max_size=200)
almost_frames = st.dictionaries(
    st.sampled_from(["event", "data", "namespace", "id", "ack", "error", "other"]),
    json_values
    | names
    | namespaces
    | ids
    | st.fixed_dictionaries({"code": json_values, "message": json_values}),
).map(json.dumps)
frames: st.SearchStrategy[Frame] = st.one_of(
    any_text, st.binary(), almost_json, json_values.map(json.dumps), almost_frames
)


def codec_suite(
    make: Callable[[], Codec],
    *,
    namespaces_travel: bool = True,
    acks_travel: bool = True,
) -> type:
    """Return the tests of the codec that *make* makes.

    It must read back what it writes. The class is made anew for each codec
    because Hypothesis keeps its memory of a test in the function.
    """

    class Suite:
        @given(frame=frames)
        def test_whatever_comes_is_a_packet_or_a_bad_frame(self, frame: Frame) -> None:
            read = decoded(make(), frame)
            assert isinstance(read, (Event, Ack, AckFailure, BadFrame))

        @given(frame=frames)
        def test_a_bad_frame_can_be_told_to_its_sender(self, frame: Frame) -> None:
            read = decoded(make(), frame)
            if isinstance(read, BadFrame):
                assert re.fullmatch("[a-z]+(_[a-z]+)*", read.code)
                assert 0 < len(read.message) < 300
                assert read.id is None or 0 <= read.id <= 2**53
                assert as_sent(make().error(read.code, read.message))

        @given(frame=frames, name=names, data=json_values)
        def test_one_frame_leaves_nothing_behind_for_the_next(
            self, frame: Frame, name: str, data: object
        ) -> None:
            used, fresh = make(), make()
            decoded(used, frame)
            sent = fresh.event(name, data, "/", None)
            assert used.event(name, data, "/", None) == sent
            assert used.decode(sent) == fresh.decode(sent)

        @given(name=names, data=json_values, namespace=namespaces)
        def test_an_event_is_read_as_it_was_sent(
            self, name: str, data: object, namespace: str
        ) -> None:
            read = make().decode(make().event(name, data, namespace, None))
            assert read == Event(name, data, namespace if namespaces_travel else "/")

        @given(code=any_text, message=any_text)
        def test_an_error_can_always_be_told(self, code: str, message: str) -> None:
            assert as_sent(make().error(code, message))

        def test_data_without_a_form_on_the_wire_names_event_and_type(self) -> None:
            with pytest.raises(NotEncodable, match=r"'said'.*\bobject\b") as refusal:
                make().event("said", {"when": object()}, "/", None)
            assert refusal.value.event == "said"
            assert refusal.value.kind == "object"
            assert isinstance(refusal.value, TypeError)

    class SuiteWithAcks(Suite):
        @given(name=names, data=json_values, id=ids)
        def test_an_event_may_ask_for_an_ack(
            self, name: str, data: object, id: int
        ) -> None:
            read = make().decode(make().event(name, data, "/", id))
            assert read == Event(name, data, "/", id)

        @given(data=json_values, id=ids)
        def test_an_ack_is_read_as_it_was_sent(self, data: object, id: int) -> None:
            assert make().decode(make().ack(id, data)) == Ack(id, data)

        @given(code=st.text(), message=st.text(), id=ids)
        def test_a_failed_ack_is_read_as_it_was_sent(
            self, code: str, message: str, id: int
        ) -> None:
            read = make().decode(make().ack_failure(id, code, message))
            assert read == AckFailure(id, code, message)

        @given(code=any_text, message=any_text)
        def test_a_failed_ack_can_always_be_told(self, code: str, message: str) -> None:
            assert as_sent(make().ack_failure(7, code, message))

        def test_an_ack_without_a_form_on_the_wire_is_not_encodable(self) -> None:
            with pytest.raises(NotEncodable) as refusal:
                make().ack(7, object())
            assert refusal.value.event is None
            assert refusal.value.kind == "object"

    class SuiteWithoutAcks(Suite):
        def test_what_has_to_do_with_acks_is_not_encodable(self) -> None:
            with pytest.raises(NotEncodable, match="acks") as refusal:
                make().event("said", None, "/", 7)
            assert refusal.value.event == "said"
            with pytest.raises(NotEncodable, match="acks"):
                make().ack(7, None)
            with pytest.raises(NotEncodable, match="acks"):
                make().ack_failure(7, "busy", "later")

    return SuiteWithAcks if acks_travel else SuiteWithoutAcks


def decoded(codec: Codec, frame: Frame) -> Packet | BadFrame:
    """Return what *codec* makes of *frame*; all it may raise, too."""
    try:
        return codec.decode(frame)
    except BadFrame as bad:
        return bad


def as_sent(frame: Frame) -> bytes:
    """Return what goes out on the wire; raise if it cannot go."""
    return frame.encode() if isinstance(frame, str) else frame
