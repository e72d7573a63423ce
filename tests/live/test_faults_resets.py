"""Half of the clients vanish at one blow, in the middle of a broadcast."""

from __future__ import annotations

import pytest

from .server import HypercornServer
from .witness import SMALL_BUFFER, linux_only, witness

pytestmark = [pytest.mark.live, linux_only]

CLIENTS = 400
NUMBERS = 40
REST_SECONDS = 0.5


def test_half_vanish_at_once_and_the_other_half_gets_everything(
    faulty: HypercornServer,
) -> None:
    with witness(faulty) as watching:
        clients = watching.clients
        before = watching.ask("statistics")
        members = clients.welcome(CLIENTS)
        clients.ask_all(members, "join", ["hall"])
        pour = {"room": "hall", "count": NUMBERS, "pad": 2000, "pause": 0.005}
        watching.member.emit("pour", pour)
        clients.wait_all("the beginning", members, lambda it: len(it.numbers) >= 3)

        leaving, staying = members[::2], members[1::2]
        for member in leaving:
            member.reset()

        assert max(len(it.numbers) for it in leaving) < NUMBERS
        clients.wait_all("the rest", staying, lambda it: len(it.numbers) == NUMBERS)
        assert [it.numbers for it in staying] == [list(range(NUMBERS))] * len(staying)
        count = 1 + len(staying)
        after = watching.wait_for("the end", lambda it: it["connections"] == count)
        assert after["rooms"] == 1
        for what in ("overflows", "stalls", "handler_errors"):
            assert after[what] == before[what]
        hows = watching.wait_gone()
        assert {hows[it.sid][:4] for it in members} == {"1006"}


@pytest.mark.parametrize("how", ["reset", "half close", "stall and half close"])
def test_whoever_has_vanished_leaves_the_server_at_rest(
    faulty: HypercornServer, how: str
) -> None:
    with witness(faulty) as watching:
        members = watching.clients.welcome(20, socket_buffer=SMALL_BUFFER)
        for member in members:
            member.emit("stream", {"count": 1_000_000, "pad": 1000})
        watching.clients.wait_all("a stream", members, lambda it: it.numbers)
        for member in members:
            if how == "reset":
                member.reset()
                continue
            if "stall" in how:
                member.stall()
            member.half_close()
        watching.wait_alone()

        assert watching.cpu_share(REST_SECONDS) < 0.5
        hows = watching.wait_gone()
        assert {hows[it.sid][:4] for it in members} <= {"1006", "1013"}


def test_what_the_kernel_holds_for_one_who_takes_nothing_is_let_go(
    faulty: HypercornServer,
) -> None:
    with witness(faulty) as watching:
        members = watching.clients.welcome(20, socket_buffer=SMALL_BUFFER // 4)
        before = watching.ask("statistics")["outbound"]["handled"]
        for member in members:
            member.stall()
            # More than the client's kernel takes, and no more than the server's.
            member.emit("stream", {"count": 5, "pad": 2000})
        told = before + 5 * len(members)
        watching.wait_for("writes", lambda it: it["outbound"]["handled"] >= told)
        assert watching.ask("statistics")["outbound"]["pending"] == 0
        for member in members:
            member.half_close()

        watching.wait_alone()
        hows = watching.wait_gone()
        assert {hows[it.sid][:4] for it in members} == {"1006"}
