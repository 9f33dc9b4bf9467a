"""A NIC handed to DPDK's own drivers and given back, in an emulated PC: vfio-pci behind an IOMMU,
uio_pci_generic without one. The kernel's sysfs, netlink and drivers are real there, and a server
answers through the card."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import emulated
import pytest

from nearmetal.build import guest_kernel as kernels
from nearmetal.build import programs as build
from nearmetal.machine.vm import qemu

LIMIT_S = 240.0
IMPORTS = "nearmetal.testbed.data_nic, nearmetal.machine.links.binding, subprocess, dataclasses"
SCRIPT = r"""
from dataclasses import replace
from pathlib import Path
import socket, subprocess
from pyroute2 import IPRoute
from nearmetal.machine.links import binding
from nearmetal.machine.devices import interface, pci
from nearmetal.machine import journal
from nearmetal.machine.processes import owner
from nearmetal.testbed import data_nic as ports

Path("/proc/sys/vm/nr_hugepages").write_text("100")
state = Path("/run/state")
ASKED = b"\0\1\0\0\0\1\0\0get key\r\n"  # a header of memcached's, and a command
its, peer = pci.device("0000:00:05.0"), pci.device("0000:00:06.0")
# A name that no driver gives, and settings that an interface loses with its driver.
for card, name, addr in ((its, "data", "10.77.0.1"), (peer, "peer", "10.77.0.2")):
    with IPRoute() as route:
        index = route.link_lookup(ifname=card.interfaces[0])[0]
        route.link("set", index=index, ifname=name, mtu=1400)
        route.link("set", index=index, state="up")
        route.addr("add", index=index, address=addr, prefixlen=24)
with IPRoute() as route:
    index = route.link_lookup(ifname="data")[0]
    route.route("add", dst="10.78.0.0/16", gateway="10.77.0.254", oif=index)
was = interface.seen("data")
for number in its.interrupts[1:]:  # not where the driver puts them
    Path(f"/proc/irq/{number}/smp_affinity_list").write_text("0")


def taken(frames):
    made = journal.Journal(state / "journal", owner.current())
    wanted = ports.Wanted(its.address, "10.77.0.1/24", frames, False, 1, "dpdk", "max", True)
    return ports.prepared(made, wanted)


def look(when, **more):
    same = its.interfaces == ["data"] and interface.seen("data") == was
    state = {"driver": its.driver, "override": its.override, "irqs": its.affinities()}
    tell(when=when, same=same, **state, **more)


def ask(port):
    argv = ["/bin/nm-dpdk-echo", "--listen", "10.77.0.1:11211", "--allow", "10.77.0.0/24", "--"]
    argv += ["--in-memory", "-m", "64", "--no-telemetry", "-l", "0", *port.eal]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as dut:
        line = dut.stdout.readline()
        if not line:
            return dut.stderr.read()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.bind(("10.77.0.2", 0))
            asker.settimeout(1)
            for _ in range(20):
                asker.sendto(ASKED, ("10.77.0.1", 11211))
                try:
                    said = asker.recv(2000)[8:].decode()
                    break
                except TimeoutError:
                    said = "no answer"
        dut.terminate()
        return said


tell(when="why not", its=binding.why_not(its), peer=binding.why_not(peer))
look("before")
with taken(False) as port:
    look("kernel's", notes=port.notes)
look("kernel's no more")
with taken(True) as port:
    look("taken", notes=port.notes, said=ask(port))
look("given back")
if (pid := os.fork()) == 0:
    holding = taken(True)
    holding.__enter__()
    os._exit(0)
os.waitpid(pid, 0)
look("killed")
tell(when="clean", lines=[line.split()[0] for line in journal.clean(state)])
look("cleaned")
tell(end=True)
power_off()
"""


@pytest.mark.timeout(2 * LIMIT_S)
@pytest.mark.usefixtures("only_full")
@pytest.mark.rung("host-dpdk")
@pytest.mark.parametrize(
    ("driver", "cmdline", "devices", "nic"),
    [
        ("vfio-pci", "intel_iommu=on", ("-device", "intel-iommu"), "iommu_platform=on"),
        ("uio_pci_generic", "", (), "iommu_platform=off"),
    ],
    ids=["iommu", "no-iommu"],
)
def test_a_card_is_handed_over_and_comes_back(
    programs: Callable[[str], Path],
    tmp_path: Path,
    driver: str,
    cmdline: str,
    devices: tuple[str, ...],
    nic: str,
) -> None:
    for reason in (qemu.why_not(), kernels.why_not(), build.why_not("nm-dpdk-echo")):
        if reason is not None:
            pytest.skip(reason)
    kernel = kernels.provide()
    loaded = (*kernels.SOCKETS, kernels.UIO, *kernels.VFIO)
    initrd = tmp_path / "initrd"
    server = programs("nm-dpdk-echo")
    initrd.write_bytes(emulated.archive(SCRIPT, IMPORTS, kernel, loaded, server))
    for number, where in enumerate(("5.0", "6.0,multifunction=on", "6.1")):
        card = f"virtio-net-pci,netdev=n{number},disable-legacy=on,{nic},addr={where}"
        devices += ("-netdev", f"hubport,id=n{number},hubid=1", "-device", card)
    told = emulated.run(kernel.image, initrd, cmdline, *devices, limit_s=LIMIT_S)
    seen = {each.pop("when"): each for each in told}

    why = seen["why not"]
    assert why["its"] is None
    if driver == "vfio-pci":  # two functions of one card
        assert "IOMMU group with 0000:00:06.1 (virtio-pci)" in why["peer"]
    before = seen["before"]
    assert (before["driver"], before["override"], before["same"]) == ("virtio-pci", "", True)
    assert set(seen["kernel's"]["irqs"].values()) == {"1"} and "0" in before["irqs"].values()
    assert "on core 1" in seen["kernel's"]["notes"][-1]
    assert seen["kernel's no more"] == before
    for when in ("taken", "killed"):
        assert (seen[when]["driver"], seen[when]["override"]) == (driver, driver), when
    assert seen["taken"]["notes"] == [f"{driver} has the card; DPDK polls it"]
    assert seen["taken"]["said"] == "get key\r\n"
    assert seen["clean"] == {"lines": ["driver", "interface", "interrupts"]}
    for when in ("given back", "cleaned"):
        back = seen[when]
        assert back == before, when
