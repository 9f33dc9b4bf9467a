"""DPDK's unmodified driver in an image, with a device that lies in the rings while it serves.

The test itself is the device: it writes to the rings in the machine's memory, beside an honest
generator. The driver checks little of what it reads there. Each lie ends the image with one line,
or is survived, or stops the service; nothing of it reaches the machine's monitor, which still obeys
(native/uk/lib/dpdk/README.md lists what each lie can reach).
"""

from __future__ import annotations

import os
import random
import re
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from framed import skip_where_missing
from liars import memfd_base

from duts import PORT, SERVER, command
from nearmetal.errors import NearmetalError
from nearmetal.machine.processes.process import Where
from nearmetal.machine.vm.vm import Vm
from nearmetal.spec import rungs
from tool import Program

ROW = "uk-dpdk"
RING = 1024
LIE_S = 1.0
PUBLISHED = 16
START_S = 120.0
ANSWER_S = 30.0
# struct rte_memzone: name, bus address, address, bytes, page size, socket, flags
ZONE = struct.Struct("<32sQQQQiI")
ZONES = 32  # lib/dpdk/memory.c
DESC_BYTES, USED_ALIGN = 16 * RING, 4096
NAMES = {"receive": b"port0_vq0", "transmit": b"port0_vq1"}
STOPPED = "the image stopped: "

pytestmark = [pytest.mark.rung(ROW), pytest.mark.timeout(600)]


class Ring:
    """A ring of the running driver, in the memory of its machine."""

    def __init__(self, pid: int, base: int, address: int) -> None:
        self._file = Path(f"/proc/{pid}/mem")
        self._desc = base + address
        avail_end = DESC_BYTES + 6 + 2 * RING
        self._used = self._desc + -(-avail_end // USED_ALIGN) * USED_ALIGN

    def _write(self, at: int, content: bytes) -> None:
        with self._file.open("r+b", buffering=0) as memory:
            memory.seek(at)
            memory.write(content)

    def elements(self, made: Callable[[], tuple[int, int]]) -> None:
        """Overwrite every element (id, length) of the used ring, and publish some of them: the
        honest device would write its own before it publishes them."""
        self._write(self._used + 4, b"".join(struct.pack("<II", *made()) for _ in range(RING)))
        with self._file.open("rb", buffering=0) as memory:
            memory.seek(self._used + 2)
            (index,) = struct.unpack("<H", memory.read(2))
        self.index(index + PUBLISHED)

    def index(self, value: int) -> None:
        """Overwrite the used ring's index."""
        self._write(self._used + 2, struct.pack("<H", value & 0xFFFF))

    def links(self, made: Callable[[], tuple[int, int]]) -> None:
        """Overwrite flags and next of every descriptor."""
        for number in range(RING):
            self._write(self._desc + 16 * number + 12, struct.pack("<HH", *made()))


def ids_beyond(ring: Ring, draw: random.Random) -> None:
    ring.elements(lambda: (draw.randrange(RING + 4, 1 << 16), 76))


def ids_of_others(ring: Ring, draw: random.Random) -> None:
    ring.elements(lambda: (draw.randrange(RING), 76))


def lengths(ring: Ring, draw: random.Random) -> None:
    sizes = (0, 11, 12, 25, 26, 1527, 65535, 65547, 1 << 31, (1 << 32) - 1)
    ring.elements(lambda: (draw.randrange(RING), draw.choice(sizes)))


def index_ahead(ring: Ring, draw: random.Random) -> None:
    ring.index(draw.randrange(1 << 16))


def links_beyond(ring: Ring, draw: random.Random) -> None:
    ring.links(lambda: (draw.choice((0, 1, 2, 4)), draw.randrange(RING, 1 << 16)))


def links_in_a_circle(ring: Ring, draw: random.Random) -> None:
    del draw
    ring.links(lambda: (1, 0))


LIES = (ids_beyond, ids_of_others, lengths, index_ahead, links_beyond, links_in_a_circle)


def zones_of(image: Path) -> int:
    """Return where the image keeps its list of zones, from the linker's map."""
    text = image.with_name(image.name + ".map").read_text(encoding="utf-8")
    kept = text.split("\nLinker script and memory map\n")[-1]
    found = re.search(r"^ \.bss\.zones\s+0x([0-9a-f]+)", kept, re.MULTILINE)
    assert found is not None
    return int(found[1], 16)


def ring_of(vm: Vm, image: Path, name: bytes) -> Ring:
    base = memfd_base(vm.pid)
    with Path(f"/proc/{vm.pid}/mem").open("rb", buffering=0) as memory:
        memory.seek(base + zones_of(image))
        content = memory.read(ZONES * ZONE.size)
    for zone in ZONE.iter_unpack(content):
        if zone[0].rstrip(b"\0") == name:
            return Ring(vm.pid, base, zone[2])
    pytest.fail(f"no zone {name!r}")


@contextmanager
def loaded(programs: Callable[[str], Path], folder: Path) -> Iterator[tuple[Vm, Path]]:
    """Start the image under load; end both."""
    row, socket = rungs.find(ROW), folder / "vhost"
    skip_where_missing(row, "echo", programs)
    if os.geteuid() != 0:
        pytest.skip("only root can write to the memory of a virtual machine")
    machine = command(row, "echo", programs, socket, ["--allow", "10.0.0.0/8"]).machine
    assert machine is not None
    words = [str(programs("nm-load-vhost")), "--socket", str(socket), "--connect"]
    words += ["--service", "echo", "--source", "10.0.0.1", "--target", f"{SERVER}:{PORT}"]
    words += ["--keys", "1000", "--window", "64", "--timeout", "0.4", "--warmup", "0"]
    words += ["--time", "0", "--stay"]
    with Program(words) as load, Vm(machine, Where(), folder / "console") as vm:
        vm.expect("ready", START_S)
        while load.event(START_S)["event"] != "second":
            pass
        yield vm, programs(f"nm-{row.place}-{row.datapath}-echo")


def outcome(vm: Vm) -> str:
    """Return `survived`, `silent`, or the line with which the image ended."""
    try:
        vm.counters(ANSWER_S)
    except NearmetalError:
        return vm.failed() or "silent"
    return "survived"


@pytest.mark.parametrize("ring", NAMES)
@pytest.mark.parametrize("lie", LIES)
def test_a_lie_stays_inside_the_machine(
    programs: Callable[[str], Path],
    tmp_path: Path,
    lie: Callable[[Ring, random.Random], None],
    ring: str,
) -> None:
    draw = random.Random(1)
    with loaded(programs, tmp_path) as (vm, image):
        lied = ring_of(vm, image, NAMES[ring])
        until = time.monotonic() + LIE_S
        with suppress(ProcessLookupError, FileNotFoundError):  # the machine has ended
            while time.monotonic() < until and vm.failed() is None:
                lie(lied, draw)
        found = outcome(vm)
        print(f"{lie.__name__} {ring}: {found}")
        assert found in ("survived", "silent") or STOPPED in found
        if lie is ids_beyond:
            assert "unmapped address" in found
        vm.stop()  # QMP's quit, where the image does not listen: the monitor obeys
