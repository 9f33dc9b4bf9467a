"""Images named in a spec: a valid one becomes a rung, a mistake is one line."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from nearmetal.dut import image
from nearmetal.dut.command import Launch
from nearmetal.errors import BadInputError
from nearmetal.machine.vm import multiboot
from nearmetal.machine.vm.qemu import Machine, MachineType
from nearmetal.samples import Accelerator
from nearmetal.spec import experiment
from nearmetal.topology.standing import Socketed

GOOD = """
rungs = ["mine", "ceiling"]
[[image]]
name = "mine"
kernel = "kernel"
cmdline = "console=ttyS0"
address = "10.0.0.2"
"""


def load(folder: Path, text: str, only: str | None = None) -> experiment.Spec:
    (folder / "kernel").write_bytes(b"kernel")
    (folder / "empty").write_bytes(b"")
    path = folder / "spec.toml"
    path.write_text(text, encoding="utf-8")
    return experiment.load(path, only)


def machine(spec: experiment.Spec) -> Machine:
    """Return the machine that the spec's first row starts."""
    rung = spec.rungs[0].rung
    ends = {"sut_mac": "02:00:00:00:00:01", "directory": "/run/x"}
    topology = Socketed.served("10.0.0.9", "10.0.0.0/24", **ends)
    tcg = Accelerator(name="tcg", cpu="max")
    made = image.command(Launch(rung, "kv", {}, topology, "", 1 << 20, accelerator=tcg)).machine
    assert made is not None
    return made


def test_it_is_a_row_of_that_spec(tmp_path: Path) -> None:
    row = load(tmp_path, GOOD).rungs[0]
    assert (row.rung.place, row.rung.machine, row.services) == ("image", "q35", ("kv",))
    made = row.rung.image
    assert made is not None and made.kernel == str((tmp_path / "kernel").resolve())
    assert made.port == 11211 and made.memory_bytes == 128 << 20
    assert len(made.kernel_sha256) == 64


def test_it_can_be_chosen_alone(tmp_path: Path) -> None:
    assert [row.rung.name for row in load(tmp_path, GOOD, "mine").rungs] == ["mine"]


def test_it_is_written_down_whole(tmp_path: Path) -> None:
    found = load(tmp_path, GOOD)
    assert experiment.Spec.model_validate_json(found.model_dump_json()) == found


def test_the_generator_is_in_its_network(tmp_path: Path) -> None:
    for address, asker in (("10.0.0.2", "10.0.0.1"), ("10.0.0.1", "10.0.0.2")):
        made = load(tmp_path, GOOD.replace("10.0.0.2", address)).rungs[0].rung.image
        assert made is not None and image.asker(made) == asker


@pytest.mark.parametrize(
    ("options", "name", "cpu"),
    [
        ('["-snapshot"]', "tcg", "max"),
        ('["-cpu", "max,-apic"]', "tcg", "max,-apic"),
        ('["--cpu", "qemu64", "-cpu", "Nehalem"]', "tcg", "Nehalem"),
        ('["-machine", "q35,accel=kvm:tcg"]', "kvm", "max"),
        ('["-M", "accel=tcg"]', "tcg", "max"),
    ],
)
def test_what_its_own_words_replace_is_what_its_samples_say(
    options: str, name: str, cpu: str, tmp_path: Path
) -> None:
    asked = GOOD.replace("cmdline", f"options = {options}\ncmdline")
    made = load(tmp_path, asked).rungs[0].rung.image
    found = image.run_by(made, Accelerator(name="tcg", cpu="max", loops_per_s={"tcg": 1.0}))
    assert found is not None and (found.name, found.cpu) == (name, cpu)
    assert image.run_by(made, None) is None


def test_virtio_from_before_version_1_is_asked_for(tmp_path: Path) -> None:
    assert machine(load(tmp_path, GOOD)).legacy is False
    asked = GOOD.replace("cmdline", "legacy = true\ncmdline")
    assert machine(load(tmp_path, asked)).legacy is True


MULTIBOOT = struct.pack("<III", 0x1BADB002, 3, -(0x1BADB002 + 3) % (1 << 32))


@pytest.mark.parametrize(
    ("kernel", "kind", "cmdline", "told"),
    [
        (MULTIBOOT, "microvm", "a=1 --", f"{multiboot.NIC} a=1 --"),
        (b"\x7fELF" + bytes(8000) + MULTIBOOT, "microvm", "", multiboot.NIC),
        (MULTIBOOT, "q35", "a=1", "a=1"),
        (MULTIBOOT, "microvm", "virtio_mmio.device=512@0x1:2", "virtio_mmio.device=512@0x1:2"),
        (b"\x7fELF" + bytes(8192) + MULTIBOOT, "microvm", "a=1", "a=1"),  # QEMU searches 8 KiB only
        (b"\x7fELF" + MULTIBOOT[:-1] + b"\0", "microvm", "a=1", "a=1"),
        (b"short", "microvm", "a=1", "a=1"),
    ],
)
def test_a_microvm_s_nic_is_told_where_qemu_does_not(
    kernel: bytes, kind: MachineType, cmdline: str, told: str, tmp_path: Path
) -> None:
    (tmp_path / "k").write_bytes(kernel)
    assert multiboot.told(tmp_path / "k", kind, cmdline) == told


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('kernel = "kernel"', 'kernel = "gone"', "image mine: kernel: .*gone is missing"),
        ('kernel = "kernel"', 'kernel = "empty"', "image mine: kernel: .*empty is empty"),
        ('kernel = "kernel"', 'kernel = "."', "image mine: kernel: .* is no file"),
        ('kernel = "kernel"', "", "image.0.kernel: missing"),
        ("cmdline", "initrd = 'gone'\ncmdline", "image mine: initrd: .*gone is missing"),
        ("cmdline", "cmdlin", "image.0.cmdlin: unknown key; did you mean cmdline"),
        ("10.0.0.2", "10.0.0.300", "image.0.address"),
        ("10.0.0.2", "127.0.0.2", "must be the IPv4 address of one host"),
        ("10.0.0.2", "10.0.0.255", "must be the IPv4 address of one host"),
        ("address", "port = 70000\naddress", "image.0.port: must be .*65535"),
        ("address", 'memory = "12 MB"\naddress', "image.0.memory: not a size"),
        ("address", 'machine = "pc"\naddress', "image.0.machine: must be 'microvm' or 'q35'"),
        ("address", 'service = "http"\naddress', "image.0.service: must be 'kv' or 'echo'"),
        ('name = "mine"', 'name = "host-sock"', "host-sock is a rung already"),
        ('"ceiling"', '"other"', "unknown rung 'other'"),
        ('"ceiling"', '"mine:echo"', "mine has no service 'echo'"),
    ],
)
def test_what_is_wrong_is_one_line(old: str, new: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=said) as caught:
        load(tmp_path, GOOD.replace(old, new))
    assert "\n" not in str(caught.value) and str(caught.value).startswith(str(tmp_path))


def test_two_of_one_name(tmp_path: Path) -> None:
    twice = GOOD + GOOD.partition("[[image]]")[1] + GOOD.partition("[[image]]")[2]
    with pytest.raises(BadInputError, match="image mine: two images have this name"):
        load(tmp_path, twice)


def test_an_accelerator_may_be_asked_for(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD).machine.accelerator is None
    forced = GOOD + '[machine]\naccelerator = "kvm"\n'
    assert load(tmp_path, forced).machine.accelerator == "kvm"
    with pytest.raises(BadInputError, match=r"machine.accelerator: must be 'kvm' or 'tcg'"):
        load(tmp_path, forced.replace('"kvm"', '"hvf"'))
