"""An app that does on request whatever the adapter can do."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from typing import Any

import anyio

from greenroom import ActorAdapter, Client, EventError, Options

app = adapter = ActorAdapter(
    "/ws",
    options=Options(
        handler_grace=0.5, max_strikes=5, max_depth=8, max_message_bytes=65_536
    ),
)

# What on_disconnect was called with, by sid.
gone: defaultdict[str, list[list[Any]]] = defaultdict(list)
# How handlers ended that outlived their client, by sid.
endings: dict[str, str] = {}


@adapter.on_connect()
async def connect(event: str, client: Client, data: Any) -> None:
    wishes = client.query_params
    client.session["events"] = [event]
    if "raise" in wishes:
        raise RuntimeError("a secret")
    if "reject" in wishes:
        await client.reject(int(wishes["reject"]), wishes.get("reason", ""))
    elif "disconnect" in wishes:
        await client.disconnect(int(wishes["disconnect"]))
    elif "silent" not in wishes:
        await client.emit("welcome", {"sid": client.sid})


@adapter.on_message()
def message(event: str, client: Client, data: Any) -> None:
    client.session["events"].append(f"message {event}")
    if data == "stop here":
        raise EventError("stopped", "on_message said no")


@adapter.on_disconnect()
async def disconnect(event: str, client: Client, data: Any) -> None:
    gone[client.sid].append([client.close_code, client.close_reason])


# -- what a client sees of itself ------------------------------------------


@adapter.on("echo")
async def echo(event: str, client: Client, data: Any) -> Any:
    return data


@adapter.on("plain")
def plain(event: str, client: Client, data: Any) -> str:
    return f"{event} {data}"


@adapter.on("events")
async def events(event: str, client: Client, data: Any) -> list[str]:
    client.session["events"].append(event)
    names: list[str] = client.session["events"]
    return names


@adapter.on("remember")
async def remember(event: str, client: Client, data: Any) -> None:
    client.session.update(data)


@adapter.on("remember", namespace="/side")
async def recall(event: str, client: Client, data: Any) -> Any:
    return client.session[data]


@adapter.on("who")
async def who(event: str, client: Client, data: Any) -> dict[str, Any]:
    return {
        "sid": client.sid,
        "namespace": client.namespace,
        "rooms": sorted(client.rooms),
        "query": dict(client.query_params),
        "header": client.headers.get("x-flavour"),
    }


adapter.on("who", namespace="/side")(who)


@adapter.on("*", namespace="/side")
async def anything(event: str, client: Client, data: Any) -> list[Any]:
    return [event, data]


# -- rooms and sending -----------------------------------------------------


@adapter.on("join")
async def join(event: str, client: Client, data: Any) -> None:
    await client.join(data)


@adapter.on("leave")
async def leave(event: str, client: Client, data: Any) -> None:
    await client.leave(data)


@adapter.on("enter")
async def enter(event: str, client: Client, data: Any) -> dict[str, Any]:
    """Enter a room, shown to the others, from where the client was."""
    info = {"name": data["name"]}
    joined = await client.join(
        data["room"],
        since=data.get("since"),
        recent=data.get("recent", 0),
        presence=info,
    )
    present = [each.info["name"] for each in adapter.presence(data["room"])]
    position, recovered = joined.position, joined.recovered
    return {"position": position, "recovered": recovered, "present": present}


@adapter.on("hide")
async def hide(event: str, client: Client, data: Any) -> dict[str, Any]:
    """Be shown in a room no more; how many still are."""
    await client.hide(data)
    return asdict(adapter.presence_count(data))


@adapter.on("read back")
async def read_back(event: str, client: Client, data: Any) -> dict[str, Any]:
    """What was said in a room lately."""
    history = await adapter.history(data["room"], limit=data["limit"])
    words = [message.data for message in history.messages]
    return {"words": words, "position": history.position}


adapter.on("join", namespace="/side")(join)
adapter.on("leave", namespace="/side")(leave)


@adapter.on("emit")
async def emit(event: str, client: Client, data: Any) -> None:
    await adapter.emit(**data)


@adapter.on("broadcast")
async def broadcast(event: str, client: Client, data: Any) -> None:
    for number in range(data["count"]):
        await adapter.broadcast("news", number)


@adapter.on("all ways")
async def all_ways(event: str, client: Client, data: Any) -> None:
    """Send the numbers below *data* to the client, each some other way."""
    ways: list[dict[str, Any]] = [{"to": client.sid}, {"room": "ways"}, {}]
    for number in range(data):
        if number % 4 == 3:
            await client.emit("number", number)
        else:
            await adapter.emit("number", number, **ways[number % 4])


# -- acks ------------------------------------------------------------------


@adapter.on("call me")
async def call_me(event: str, client: Client, data: Any) -> Any:
    answer = await client.call("called", data["data"], timeout=data["timeout"])
    return {"answer": answer}


@adapter.on("call")
async def call(event: str, client: Client, data: Any) -> Any:
    try:
        return await adapter.call("called", to=data["to"], timeout=data["timeout"])
    except Exception as error:
        return type(error).__name__


@adapter.on("collect")
async def collect(event: str, client: Client, data: Any) -> None:
    """Pass every ack from a room on to the client as an event."""

    async def answered(answer: object) -> None:
        await client.emit("collected", answer)

    await adapter.emit("called", room=data, callback=answered)


# -- what fails ------------------------------------------------------------


@adapter.on("crash")
async def crash(event: str, client: Client, data: Any) -> None:
    raise RuntimeError("a secret")


@adapter.on("refuse")
async def refuse(event: str, client: Client, data: Any) -> None:
    raise EventError("not_today", "try again tomorrow")


@adapter.on("unspeakable")
async def unspeakable(event: str, client: Client, data: Any) -> object:
    return object()


# -- endings ---------------------------------------------------------------


@adapter.on("leave me")
async def leave_me(event: str, client: Client, data: Any) -> None:
    await client.emit("last words")
    await client.disconnect(data["code"], data["reason"])


@adapter.on("hang")
async def hang(event: str, client: Client, data: Any) -> None:
    await client.emit("began")
    try:
        await anyio.sleep_forever()
    except anyio.get_cancelled_exc_class():
        endings[client.sid] = "cancelled"
        raise


@adapter.on("linger")
async def linger(event: str, client: Client, data: Any) -> None:
    """Notice by itself that the client has gone, and tidy up."""
    await client.emit("began")
    while client.connected:  # noqa: ASYNC110 - as users do
        await anyio.sleep(0.01)
    await anyio.sleep(0.01)
    endings[client.sid] = "tidied up"


@adapter.on("ending")
async def ending(event: str, client: Client, data: Any) -> str | None:
    return endings.get(data)


@adapter.on("gone")
async def ask_gone(event: str, client: Client, data: Any) -> dict[str, Any]:
    return {sid: gone[sid] for sid in data if sid in gone}


@adapter.on("statistics")
async def statistics(event: str, client: Client, data: Any) -> dict[str, Any]:
    return asdict(adapter.statistics())
