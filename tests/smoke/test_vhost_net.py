"""A Linux guest on vhost-net, on an emulated host that has vhost-net, with a QEMU in it.

tun, vhost-net and our calls of them are real. The guest boots and its server gets ready; no request
is sent, because of the double emulation: answers would be late or missing.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import emulated
import pytest

from nearmetal.build import guest_kernel as kernels
from nearmetal.build import programs
from nearmetal.dut import guest
from nearmetal.dut.command import Launch
from nearmetal.machine.vm import qemu
from nearmetal.samples import Accelerator
from nearmetal.spec.rungs import find
from nearmetal.topology.wires.vhost_net import VhostNet

LIMIT_S = 900.0
IMPORTS = (
    "nearmetal.machine.links.netns, nearmetal.machine.links.steering,"
    " nearmetal.machine.vm.vm, nearmetal.samples"
)
TOOLS = ("sh", "env", "mount", "nsenter", "setpriv", "taskset", "tee", "true", "unshare")
FIRMWARE = ("bios-256k.bin", "linuxboot_dma.bin", "kvmvapic.bin")
FIRMWARE_FOLDERS = ("/usr/share/qemu", "/usr/share/seabios")
MODULES = Path("/usr/lib/x86_64-linux-gnu/qemu")  # QEMU's own modules
# The addresses of netns.tap_apart on a machine without networks.
SERVER, GENERATOR, SUBNET = "198.18.0.1", "198.18.0.2", "198.18.0.0/24"
SCRIPT = r"""
os.environ["PATH"] = "/bin:/usr/bin"
from pathlib import Path
from nearmetal.machine.links import netns, steering
from nearmetal.machine.vm import qemu
from nearmetal.machine.journal import open_journal
from nearmetal.machine.processes.process import Where
from nearmetal.machine.vm.vm import Vm
from nearmetal.samples import Accelerator

WAIT_S = 400.0
given = json.loads(Path("/guest.json").read_text())

with netns.tap_apart(open_journal(), "vtp") as ends:
    nic = qemu.Tap(ends.tg.iface, ends.sut.mac, vhost=True)
    machine = qemu.Machine(
        Path("/guest/kernel"), given["command_line"], given["memory_bytes"],
        Accelerator(name="tcg", cpu="max"), "q35", Path("/guest/initrd"), (nic,),
    )
    with Vm(machine, Where(ends.sut.netns, 0), Path("/run/log")) as vm:
        vm.booted(WAIT_S)
        ready = vm.expect("ready", WAIT_S)
        threads = steering.pin_carriers(vm.pid, 1)
        cores = [sorted(os.sched_getaffinity(thread)) for thread in threads]
        tell(addr=ends.sut.addr, failed=vm.failed(), ready=ready["event"], cores=cores)
tell(end=True)
power_off()
"""


@pytest.mark.timeout(2 * LIMIT_S)
@pytest.mark.rung("guest-sock-vhost-net")
@pytest.mark.usefixtures("only_full")
def test_a_guest_starts_and_the_thread_that_carries_its_frames_is_pinned(
    tmp_path: Path,
) -> None:
    """Takes minutes: an emulated machine in an emulated machine."""
    needed = ("nm-guest-sock-kv", "nm-guest-init")
    for reason in (qemu.why_not(), kernels.why_not(), *map(programs.why_not, needed)):
        if reason is not None:
            pytest.skip(reason)
    kernel = kernels.provide()
    if not all(kernel.modules.has(name) for name in kernels.HOST):
        pytest.skip(f"the fetched kernel {kernel.release} has no vhost_net")
    beside = {str(path): path for path in _qemu()} | _guest(tmp_path)
    tools = [Path(found).resolve() for name in TOOLS if (found := shutil.which(name))]
    beside |= {f"/bin/{name}": path for name, path in zip(TOOLS, tools, strict=True)}
    initrd = tmp_path / "initrd"
    made = emulated.archive(SCRIPT, IMPORTS, kernel, kernels.HOST, beside=beside)
    initrd.write_bytes(made)
    (told,) = emulated.run(kernel.image, initrd, "", limit_s=LIMIT_S)
    assert told["addr"] == SERVER and told["failed"] is None and told["ready"] == "ready"
    assert told["cores"] == [[1]]


def _qemu() -> list[Path]:
    found = [Path(folder, name) for folder in FIRMWARE_FOLDERS for name in FIRMWARE]
    return [qemu.found(), *filter(Path.exists, [*found, MODULES / "accel-tcg-x86_64.so"])]


def _guest(folder: Path) -> dict[str, Path]:
    """Return the guest's files and its command line; made here, where the cache is."""
    wire = VhostNet(
        sut_netns=None, tg_netns=None, sut_addr=SERVER, tg_addr=GENERATOR,
        subnet=SUBNET, sut_iface="", tg_iface="tap", sut_cpu=0, tg_cpu=1, control_cpus=(0,),
        sut_mac="02:00:00:00:00:01", placement="",
    )  # fmt: skip
    made = programs.build(["nm-guest-sock-kv", "nm-guest-init"])
    emulator = Accelerator(name="tcg", cpu="max")
    rung = find("guest-sock-vhost-net")
    launch = Launch(rung, "kv", made, wire, f"{SERVER}:11211", 8 << 20, accelerator=emulator)
    machine = guest.command(launch).machine
    assert machine is not None and machine.initrd is not None
    words = {"command_line": machine.command_line, "memory_bytes": machine.memory_bytes}
    (folder / "guest.json").write_text(json.dumps(words))
    return {
        "/guest/kernel": machine.kernel,
        "/guest/initrd": machine.initrd,
        "/guest.json": folder / "guest.json",
    }
