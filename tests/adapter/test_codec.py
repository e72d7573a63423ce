from __future__ import annotations

import dataclasses
import datetime
import enum
import pickle
import uuid
from collections import OrderedDict, defaultdict

import pytest

from greenroom.adapter._codec import NotEncodable, to_json


@dataclasses.dataclass
class Point:
    x: int
    y: object


class Colour(enum.Enum):
    RED = "red"


class Model:
    """Dumps itself as pydantic's models do."""

    def __init__(self, **fields: object) -> None:
        self.fields = fields

    def model_dump(self, *, mode: str) -> dict[str, object]:
        return {"mode": mode, **self.fields}


class BrokenModel:
    def model_dump(self, *, mode: str) -> dict[str, object]:
        raise RuntimeError(f"no {mode} today")


NEW_YEAR = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
SOME_ID = uuid.UUID("12345678123456781234567812345678")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (Point(1, 2), '{"x":1,"y":2}'),
        (Colour.RED, '"red"'),
        (SOME_ID, '"12345678-1234-5678-1234-567812345678"'),
        (NEW_YEAR, '"2026-01-01T00:00:00+00:00"'),
        (datetime.date(2026, 1, 2), '"2026-01-02"'),
        ((1, (2,)), "[1,[2]]"),
        (defaultdict(list, {"a": [1]}), '{"a":[1]}'),
        (Model(a=1), '{"mode":"json","a":1}'),
        ([Model(inner=Model())], '[{"mode":"json","inner":{"mode":"json"}}]'),
        ({1: "a", None: "b", 2.5: "c"}, '{"1":"a","null":"b","2.5":"c"}'),
        ({SOME_ID: 1}, '{"12345678-1234-5678-1234-567812345678":1}'),
        ({True: Model()}, '{"true":{"mode":"json"}}'),
        (float("nan"), "null"),
        (float("-inf"), "null"),
        (2**64 - 1, "18446744073709551615"),
    ],
)
def test_data_is_written_as_json(data: object, text: str) -> None:
    assert to_json({"data": data}) == '{"data":' + text + "}"


def circle() -> list[object]:
    one: list[object] = []
    two: dict[str, object] = {"one": one, "again": one}
    one.extend([two, two, one])
    return one


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


shared = [1]


@pytest.mark.parametrize(
    ("data", "path", "kind"),
    [
        ({1, 2}, "data", "set"),
        (b"x", "data", "bytes"),
        (2**64, "data", "int"),
        ("\ud800", "data", "str"),
        (Model, "data", "type"),
        (BrokenModel(), "data", "BrokenModel"),
        ({"users": [1, {"seen at": ({3},)}]}, "data.users[1]['seen at'][0]", "set"),
        (OrderedDict({"a": OrderedDict({"b": {3}})}), "data.a.b", "set"),
        ([Point(1, {3})], "data[0]", "Point"),
        ([Model(a={3})], "data[0]", "Model"),
        ([shared, shared, object()], "data[2]", "object"),
        ([circle(), object()], "data[1]", "object"),
        ([nested(20_000), object()], "data[1]", "object"),
        ({7: object()}, "data[7]", "object"),
        ({(1, 2): 3}, "the key of data[(1, 2)]", "tuple"),
        ({"\ud800": 3}, r"the key of data['\ud800']", "str"),
        ([{"x" * 99: {3}}], "data[0]." + "x" * 99, "set"),
        ([{"-" * 99: {3}}], "data[0]['" + "-" * 31 + "]", "set"),
        (circle(), None, None),
        (nested(300), None, None),
        ([0] * 20_000 + [object()], None, None),
    ],
)
def test_a_refusal_to_write_names_the_event_the_type_and_the_place(
    data: object, path: str | None, kind: str | None
) -> None:
    with pytest.raises(NotEncodable) as refusal:
        to_json({"data": data}, "said")
    assert (refusal.value.path, refusal.value.kind) == (path, kind)
    message = str(refusal.value)
    assert message.startswith("event 'said' cannot be encoded as JSON")
    assert f": {path} is of type {kind} (" in message or path is None
    assert isinstance(refusal.value.__cause__, TypeError)


def test_a_refusal_to_write_keeps_what_the_model_raised() -> None:
    with pytest.raises(NotEncodable) as refusal:
        to_json({"data": BrokenModel()}, ack=7)
    assert str(refusal.value).startswith("the ack 7 cannot be encoded as JSON: data ")
    assert refusal.value.__cause__ is not None
    assert isinstance(refusal.value.__cause__.__cause__, RuntimeError)


def test_a_refusal_to_write_survives_pickling() -> None:
    with pytest.raises(NotEncodable) as refusal:
        to_json({"data": {3}}, "said")
    again = pickle.loads(pickle.dumps(refusal.value))
    assert str(again) == str(refusal.value)
    assert (again.event, again.path, again.kind) == ("said", "data", "set")
