"""The QEMU command line of a virtual machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearmetal.errors import CannotRunError
from nearmetal.machine.vm import qemu
from nearmetal.machine.vm.qemu import Machine, MachineType, Tap, VhostUser
from nearmetal.samples import Accelerator

TCG, KVM = Accelerator(name="tcg", cpu="max"), Accelerator(name="kvm", cpu="host")
RING = VhostUser(Path("/run/a,b/vhost"), "02:00:00:00:00:01", 1024)


def argv(accelerator: Accelerator = TCG, kind: MachineType = "microvm", **more: object) -> str:
    fields = {"kernel": Path("/k"), "command_line": "--poll", "memory_bytes": 24 << 20}
    made = Machine(**{**fields, "accelerator": accelerator, "type": kind, **more})  # type: ignore[arg-type]
    return " ".join(qemu.command(made, console=Path("/c"), monitor=7))


def test_nothing_is_there_that_was_not_asked_for() -> None:
    said = argv()
    for word in ("-nodefaults", "-no-user-config", "-no-reboot", "-display none"):
        assert word in said
    assert "-netdev" not in said and "-initrd" not in said


def test_memory_is_shared_and_whole() -> None:
    said = argv()
    assert "memory-backend-memfd,id=memory,size=25165824,share=on" in said
    assert "-m 24576K" in said and "memory-backend=memory" in said


def test_console_and_monitor() -> None:
    said = argv()
    assert "stdio,id=console,signal=off,logfile=/c,logappend=on" in said
    assert "socket,id=monitor,fd=7" in said and "chardev=monitor,mode=control" in said


def test_a_microvm_tells_its_devices_on_the_command_line() -> None:
    said = argv(nics=(RING,))
    assert "microvm,acpi=off" in said and "virtio-mmio.force-legacy=false" in said
    assert "virtio-net-device,netdev=nic0" in said and "vectors" not in said


def test_a_comma_in_a_path_is_a_comma() -> None:
    assert "path=/run/a,,b/vhost,server=on,wait=off" in argv(nics=(RING,))


@pytest.mark.parametrize(("accelerator", "vectors"), [(TCG, True), (KVM, False)])
def test_no_msi_x_where_qemu_dies_of_it(accelerator: Accelerator, vectors: bool) -> None:
    said = argv(accelerator, "q35", nics=(RING,))
    assert "virtio-net-pci,netdev=nic0" in said and "disable-legacy=on" in said
    assert ("vectors=0" in said) == vectors
    assert "rx_queue_size=1024,tx_queue_size=1024" in said


@pytest.mark.parametrize(
    ("kind", "now", "before"),
    [
        ("q35", "disable-legacy=on,", "disable-legacy=off,disable-modern=on,"),
        ("microvm", "virtio-mmio.force-legacy=false", "virtio-mmio.force-legacy=true"),
    ],
)
def test_virtio_is_version_1_or_that_from_before_it(
    kind: MachineType, now: str, before: str
) -> None:
    """With any back end: our own, or QEMU on a tap device."""
    for nic in (RING, Tap("tap0", "02:00:00:00:00:01")):
        said = argv(kind=kind, nics=(nic,))
        assert now in said and before not in said
        said = argv(kind=kind, nics=(nic,), legacy=True)
        assert before in said and now not in said


def test_a_tap_device_is_there_already() -> None:
    said = argv(nics=(Tap("tap0", "02:00:00:00:00:01", vhost=True),))
    assert "tap,id=nic0,ifname=tap0,script=no,downscript=no,vhost=on" in said
    said = argv(nics=(Tap("tap0", "02:00:00:00:00:01"),))
    assert "tap,id=nic0,ifname=tap0,script=no,downscript=no,vhost=off" in said


def test_what_else_a_machine_has() -> None:
    said = argv(KVM, "q35", initrd=Path("/i"), vcpus=2, options=("-snapshot",))
    assert "-initrd /i" in said and "-smp 2" in said and said.endswith("-snapshot")
    assert "accel=kvm" in said and "-cpu host" in said


def test_without_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert qemu.why_not() == qemu.MISSING
    with pytest.raises(CannotRunError, match="package qemu-system-x86"):
        qemu.found()


def test_a_qemu_that_has_given_up_is_known_by_its_words() -> None:
    dump = (
        "emulation failure RAX=1 RIP=000000000010a8b0 RFL=2 Code=eb de <66> 0f ef c0 48 89 37 48 89"
    )
    assert qemu.given_up(dump) == (
        "KVM cannot emulate an instruction at 0x10a8b0: 66 0f ef c0 48 89 37 48"
    )
    assert "without its network" in (qemu.given_up("x: unable to start vhost net: 22") or "")
    assert qemu.given_up("qemu: some warning") is None


def test_image_bytes_are_those_of_both_files(tmp_path: Path) -> None:
    for name, size in (("k", 100), ("i", 20)):
        (tmp_path / name).write_bytes(b"x" * size)
    made = Machine(tmp_path / "k", "", 1 << 20, TCG, initrd=tmp_path / "i")
    assert made.image_bytes == 120
