"""Guest rungs as targets: the server on Linux in a virtual machine, nm-relay, and a host of frames.

What runs the machine is QEMU's translator, which is everywhere: how fast answers come is nobody's
question here. Between the NIC and a server on sockets is the guest's kernel, which knows ARP and
takes what is no datagram for itself, so such a server counts requests where others count frames.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from framed import ENTRIES, MEMORY_BYTES, PORT, SERVER, SERVER_MAC, Programs, rights

from nearmetal import build
from nearmetal.corpus import Guard
from nearmetal.errors import CannotRunError
from nearmetal.guest import kernel
from nearmetal.lab import qemu
from nearmetal.lab.process import Child, Where
from nearmetal.lab.relay import Host
from nearmetal.lab.vm import Vm
from nearmetal.places import guest
from nearmetal.rungs import Rung
from nearmetal.samples import Accelerator

BOOT_S = 60.0
TCG = Accelerator(name="tcg", cpu="max")


class InGuest:
    """A DUT of ours in its machine, and the relay that it is asked through."""

    def __init__(self, rung: Rung, service: str, programs: Programs, guard: Guard) -> None:
        # A short path: an AF_UNIX address has 108 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="nm-"))
        vhost, unix = self.folder / "vhost", self.folder / "frames"
        self._counts_frames = rung.datapath == "dpdk"
        carried = ["--connect", "--socket", vhost, "--unix", unix]
        self.relay = Child([programs("nm-relay"), *carried], Where())
        try:
            self.relay.expect("ready", BOOT_S)
            told = machine(rung, service, programs, vhost, rights(guard))
            self.vm = Vm(told, Where(), self.folder / "console")
            self.vm.booted(BOOT_S)
            self.ready = self.vm.expect("ready", BOOT_S)
            self.relay.expect("up", BOOT_S)
            self.host = Host(unix, SERVER, PORT)
            self.host.server_mac()
        except BaseException:
            self.close()
            raise

    def ask(self, datagram: bytes, source: str) -> list[bytes]:
        return self.host.ask(datagram, source)

    def ask_many(self, questions: Sequence[tuple[bytes, str]]) -> list[list[bytes]]:
        return self.host.ask_many(questions)

    def echo(self, datagram: bytes) -> bytes:
        return self.host.echo(datagram)

    def final(self) -> dict[str, Any]:
        """Stop it; its last line."""
        last = dict(self.vm.stop()[-1])
        assert last["event"] == "final"
        return last

    def drops(self) -> Counter[str]:
        """Stop it; requests by what became of them, sentinels and ARP left out. None is missing."""
        final, sent = self.final(), self.host.sent
        drops = Counter({name: int(count) for name, count in final["drops"].items()})
        came = sent.total() if self._counts_frames else sent["udp"]
        assert final["received"] == drops.total() == came
        drops["answered"] -= self.host.sentinel_count
        drops["arp"] -= sent["arp"] if self._counts_frames else 0
        return drops

    def close(self) -> None:
        for part in ("host", "vm", "relay"):
            if hasattr(self, part):
                getattr(self, part).close() if part == "host" else getattr(self, part).stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def machine(
    rung: Rung, service: str, programs: Programs, vhost: Path, options: Sequence[str]
) -> qemu.Machine:
    """The machine of a rung on that socket."""
    skip_where_missing(rung, service)
    server, init = programs(build.program_of(rung, service)), programs(build.INIT)
    try:
        inside = guest.Inside(kernel.provide(), init, server)
    except CannotRunError as error:
        pytest.skip(f"{rung.name}: {error}")
    words = ["--listen", f"{SERVER}:{PORT}", *rung.options(), *options]
    told = guest.said(rung, inside, words, f"{SERVER}/8", MEMORY_BYTES)
    return guest.machine(inside, told, qemu.VhostUser(vhost, SERVER_MAC, ENTRIES), TCG)


def skip_where_missing(rung: Rung, service: str) -> None:
    """What needs something that is not on this machine."""
    for name in (qemu.PROGRAM, build.GUEST_KERNEL, build.program_of(rung, service)):
        if (reason := build.why_not(name)) is not None:
            pytest.skip(f"{rung.name}: {reason}")
