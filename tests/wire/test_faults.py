"""Under faults no wrong answer is accepted, and no frame vanishes: the counts of both sides agree.

The generator spoils one frame in a hundred, in both directions, between its checks and the wire.
The counts then follow the frames: frames sent by the generator are those that the server received,
by reasons; frames answered by the server are those that returned; frames that returned are those
that the generator counts. With echo every frame of the run is in the result; a store is preloaded
first, so there only the frame counters are compared.

tests/c/tg shows, frame by frame, that the same seed gives the same schedule.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from framed import PORT, SERVER, Event, open_dut, skip_where_missing, wait_for
from targets import FRAMED, ON_MEMORY

from nearmetal.spec import rungs
from nearmetal.spec.rungs import Rung
from tool import Program

ALONE = {
    "loss": "loss=0.01",
    "duplicate": "duplicate=0.01",
    "reorder": "reorder=0.01",
    "corrupt": "corrupt=0.01",
    "delay": "delay=0.01:1ms",
}
COUNTED = {  # name of each fault in the result
    "loss": "lost",
    "duplicate": "duplicated",
    "reorder": "reordered",
    "corrupt": "corrupted",
    "delay": "delayed",
}
FAULTS = {**ALONE, "all": ",".join(ALONE.values())}
# A lost request holds its entry in the window until its time-out. So the time-out is short, but far
# longer than other load can stall a program; longer for an emulated machine, which can stall more.
LOAD = ["--keys", "2000", "--warmup", "0", "--window", "64"]
TIMEOUT_S, EMULATED_TIMEOUT_S = "0.25", "0.5"
TIMES_S = ("0.5", "2", "8", "20")  # the next one if other load took too much of the machine
ENOUGH = 2000  # requests, of which each fault should affect one in a hundred
END_S = 120.0

Programs = Callable[[str], Path]


# Without guests: they boot for longer than a generator that sends nothing beforehand waits. Without
# uk-netdev-q35: it has the same image as uk-netdev, with the device on another bus.
SOON = [
    name
    for name in FRAMED
    if name in ON_MEMORY and rungs.find(name).place != "guest" and name != "uk-netdev-q35"
]


@pytest.fixture(params=[pytest.param(name, id=name, marks=pytest.mark.rung(name)) for name in SOON])
def rung(request: pytest.FixtureRequest) -> Rung:
    return rungs.find(request.param)


@pytest.mark.parametrize("fault", FAULTS)
def test_no_frame_vanishes(rung: Rung, fault: str, programs: Programs, tmp_path: Path) -> None:
    result, final = run(rung, "echo", FAULTS[fault], programs, tmp_path)
    check_nothing_wrong(result)
    check_frames(result, final)
    tx, rx = result["faults"]["tx"], result["faults"]["rx"]
    for name in ALONE if fault == "all" else (fault,):
        assert tx[COUNTED[name]] > 0 and rx[COUNTED[name]] > 0, name
    assert tx["frames"] == result["sent"]
    accounted = ("answered", "late", "duplicate", "unmatched", "malformed")
    assert rx["passed"] == sum(result[name] for name in accounted)
    if fault in ("duplicate", "reorder", "delay"):
        # No frame is lost; an answer that the machine delayed beyond the time-out is late.
        assert result["answered"] + result["late"] == result["sent"]
    if fault != "corrupt" and fault != "all":
        assert result["malformed"] == 0
        assert final["drops"]["answered"] + final["drops"]["arp"] == final["received"]


def test_a_store_under_all_faults(rung: Rung, programs: Programs, tmp_path: Path) -> None:
    result, final = run(rung, "kv", FAULTS["all"], programs, tmp_path)
    check_nothing_wrong(result)
    check_frames(result, final)
    assert final["drops"]["udp"] + final["drops"]["ip"] > 0
    assert final["set"] > 0 and final["evicted"] == 0


def check_nothing_wrong(result: Event) -> None:
    assert result["answered"] > 0
    assert result["wrong"] == result["stale"] == result["unexpected_miss"] == 0
    assert result["sent"] == result["answered"] + result["lost"]


def check_frames(result: Event, final: Event) -> None:
    """Compare both sides' frames of the whole run, ARP included."""
    frames, tx, rx = result["frames"], result["faults"]["tx"], result["faults"]["rx"]
    for one in (tx, rx):
        assert one["frames"] + one["duplicated"] - one["lost"] - one["held"] == one["passed"]
        assert one["held"] == 0
    drops = final["drops"]
    assert final["received"] == sum(drops.values()) == tx["passed"] + drops["arp"]
    # An ARP request that arrives while the server starts may be lost, and is sent again.
    assert 1 <= drops["arp"] <= frames["tx"] - tx["passed"]
    assert final["replies"] == drops["answered"]
    assert frames["rx"] == final["replies"] + drops["arp"] == rx["frames"] + frames["arp"]
    assert frames["bad"] == drops["tx"] == final["tx_errors"] == final["rx_errors"] == 0
    # A corrupted frame that is still answered has the flipped bit in its sender's MAC address,
    # which no checksum covers; no host gets the reply.
    assert drops["mac"] + drops["ethertype"] + drops["ip"] + drops["udp"] <= tx["corrupted"]


def run(
    rung: Rung, service: str, faults: str, programs: Programs, folder: Path
) -> tuple[Event, Event]:
    """Return the generator's result and the server's last event."""
    skip_where_missing(rung, service, programs)
    for time_s in TIMES_S:
        asked = ["--service", service, "--faults", faults, "--time", time_s]
        result, final = once(rung, service, asked, programs, folder / time_s)
        # False if replies were sent after the generator's end: the server was delayed until then.
        seen = result["frames"]["rx"] == final["replies"] + final["drops"]["arp"]
        if result["sent"] >= ENOUGH and seen:
            break
    return result, final


def once(
    rung: Rung, service: str, asked: list[str], programs: Programs, folder: Path
) -> tuple[Event, Event]:
    folder.mkdir()
    socket = folder / "vhost"
    load = [str(programs("nm-load-vhost")), "--socket", str(socket), "--source", "10.0.0.1"]
    load += ["--target", f"{SERVER}:{PORT}", "--checksums", *LOAD, *asked]
    load += ["--timeout", EMULATED_TIMEOUT_S if rung.machine else TIMEOUT_S]
    load += ["--connect"] if rung.machine else []
    with Program(load) as generator, ExitStack() as stack:
        if rung.machine is None:
            wait_for(socket, generator)
        dut = open_dut(rung, service, programs, socket, ["--allow", "10.0.0.0/8"])
        stack.callback(dut.close)
        result = generator.last(END_S)
        final = dut.final()
    print({name: value for name, value in result.items() if name != "latency"}, final)
    return result, final
