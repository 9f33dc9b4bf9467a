"""A Linux guest from the outside: its output at boot, and its failures."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from framed import (
    END_S,
    MEMORY_BYTES,
    PORT,
    SERVER,
    Framed,
    MachineDut,
    machine,
    skip_where_missing,
)
from targets import OPEN

import documents
from nearmetal.build import guest_kernel
from nearmetal.build.guest_modules import Modules
from nearmetal.kv.corpus import quick
from nearmetal.machine.links.frames import UDP_BYTES_MAX
from nearmetal.machine.processes.process import ChildError, Where
from nearmetal.machine.vm.qemu import Machine
from nearmetal.machine.vm.vm import Vm
from nearmetal.spec.rungs import find

Programs = Callable[[str], Path]
SAYS_BOOT = '{"event":"boot","kernel"'
SOCK, DPDK = find("guest-sock"), find("guest-dpdk")


@contextmanager
def _booted(made: Machine) -> Iterator[Vm]:
    with (
        tempfile.TemporaryDirectory(prefix="nm-") as folder,
        Vm(made, Where(), Path(folder) / "console") as vm,
    ):
        yield vm


def _told(made: Machine, old: str, new: str) -> Machine:
    assert old in made.command_line
    return replace(made, command_line=made.command_line.replace(old, new))


@pytest.fixture
def sock(programs: Programs) -> Machine:
    """A guest without a NIC: there is no back end."""
    skip_where_missing(SOCK, "kv", programs)
    made = machine(SOCK, "kv", programs, Path("vhost"), ["--allow", "10.0.0.0/8"])
    return replace(made, nics=())


@pytest.mark.rung("guest-sock")
def test_what_it_says_when_it_boots(sock: Machine) -> None:
    """Without an address the server uses the kernel's loopback."""
    lone = _told(sock, f"nm.address={SERVER}/8 ", "")
    lone = _told(lone, f"--listen {SERVER}:{PORT}", f"--listen 0.0.0.0:{PORT}")
    with _booted(lone) as vm:
        boot = vm.booted(END_S)
        assert boot["kernel"] in str(sock.kernel) and boot["vcpus"] == 1
        assert 0 < boot["uptime_ms"] < 60_000 and boot["clock"]
        assert boot["mitigations"]["meltdown"]
        told = json.dumps(boot, separators=(",", ":"))
        assert documents.shape(documents.shown("docs/programs.md", SAYS_BOOT)).search(told)
        ready = vm.expect("ready", END_S)
        assert (ready["datapath"], ready["store_budget_bytes"]) == ("sock", MEMORY_BYTES)
        assert vm.counters(END_S)["received"] == 0
        (final,) = vm.stop()
        assert final["event"] == "final"


@pytest.mark.rung("guest-sock")
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("nm.address", "nm.address", "no network interface"),
        (f"nm.address={SERVER}/8", "nm.address=10.0.0.1", "nm.address: give ADDR/BITS"),
        (f"nm.address={SERVER}/8", "nm.driver=uio_pci_generic", "no virtio NIC on the PCI bus"),
        (f'nm.address={SERVER}/8 nm.server="', 'nm.server="--no ', "exit code 2: .*unknown option"),
        ("nm.server=", "nm.sever=", "unknown nm. parameter"),
    ],
)
def test_what_is_wrong_is_told_and_ends_it(sock: Machine, old: str, new: str, said: str) -> None:
    with _booted(_told(sock, old, new)) as vm:
        with pytest.raises(ChildError, match=f"failed: .*{said}"):
            vm.expect("ready", END_S)
        assert vm.stop() == []


class WithoutUio(Modules):
    """Kernel modules without UIO, as other distributions have them."""

    def has(self, name: str) -> bool:
        return name != guest_kernel.UIO and super().has(name)


@pytest.mark.rung("guest-dpdk")
def test_without_uio_the_nic_is_given_by_vfio(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    skip_where_missing(DPDK, "kv", programs)
    linux = guest_kernel.provide()
    other = replace(linux, modules=WithoutUio(linux.modules.folder))
    monkeypatch.setattr(guest_kernel, "provide", lambda: other)
    with closing(Framed(DPDK, "kv", programs, OPEN)) as framed:
        assert isinstance(framed.dut, MachineDut)
        assert "nm.driver=vfio-pci" in framed.dut.vm.machine.command_line
        assert quick("memcached", framed.host, UDP_BYTES_MAX) is None
