"""image: write a bootable image of a unikernel, and say how to boot and how to ask it."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from nearmetal.build import programs
from nearmetal.commands import serve_words
from nearmetal.commands.own import Served
from nearmetal.dut import uk
from nearmetal.errors import BadInputError, CannotRunError, in_words
from nearmetal.machine.cores import cpus
from nearmetal.machine.memory import hugepages
from nearmetal.machine.vm import accelerator, qemu
from nearmetal.samples import Accelerator
from nearmetal.spec.programs import PROBE, program_of
from nearmetal.spec.rungs import RUNGS, Rung

# The network that QEMU makes for a machine (-netdev user): the machine's address, and its sources.
_ADDRESS, _SUBNET = "10.0.2.15", "10.0.2.0/24"
_HOST = "127.0.0.1"


def write(row: str, served: Served, out: Path | None, *, as_json: bool) -> Iterator[str]:
    """Build the image and write it to `out`; yield what to print. Raises BadInputError."""
    rung = _rung(row, served)
    name = program_of(rung, served.service)
    built = programs.build([name, PROBE], own=served.own)
    for each in (name, PROBE):
        if each not in built.programs:
            raise CannotRunError(f"{row}: {built.missing[each]}")
    probe = Path(built.programs[PROBE].path)
    runs_by = accelerator.choose(probe, cpus.choose(cpus.allowed()).sut)
    path = out or Path(f"{served.service}-{row}.img")
    try:
        shutil.copyfile(built.programs[name].path, path)
    except OSError as error:
        raise BadInputError(f"--out {path}: {in_words(error)}") from None
    argv = _qemu(rung, runs_by, path, served)
    ask = serve_words.ask(served, _HOST, served.port)
    if as_json:
        yield json.dumps({"image": str(path), "bytes": path.stat().st_size, "qemu": argv})
        return
    yield f"wrote {path}, {path.stat().st_size:,} bytes"
    yield f"boot it: {shlex.join(argv)}"
    if ask is not None:
        yield f"ask it:  {ask}"
    yield "end it:  Ctrl-C"


def _rung(name: str, served: Served) -> Rung:
    rung = served.rung(name)
    if rung.place == "uk" and rung.absent is None:
        return rung
    known = ", ".join(each.name for each in RUNGS if each.place == "uk" and each.absent is None)
    raise BadInputError(f"{name} is not an image that a machine boots; give one of {known}")


def _qemu(rung: Rung, runs_by: Accelerator, path: Path, served: Served) -> list[str]:
    """Return the command that boots the image behind QEMU's own network."""
    assert rung.machine is not None
    memory_bytes, port = served.memory_bytes, served.port
    words = ["--listen", f"{_ADDRESS}:{port}", "--memory", str(memory_bytes), "--allow", _SUBNET]
    whole = uk.MEMORY_BYTES + hugepages.pages(memory_bytes) * hugepages.PAGE_BYTES
    forwarded = f"user,id=nic,hostfwd=udp:{_HOST}:{port}-{_ADDRESS}:{port}"
    if rung.machine == "q35":
        device = ["-device", "virtio-net-pci,netdev=nic,disable-legacy=on,romfile="]
    else:
        device = ["-global", "virtio-mmio.force-legacy=false"]
        device += ["-device", "virtio-net-device,netdev=nic"]
    return [
        *(qemu.PROGRAM, "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio"),
        *("-M", qemu.KINDS[rung.machine], "-accel", runs_by.name, "-cpu", runs_by.cpu),
        *("-m", f"{whole >> 20}M", "-netdev", forwarded, *device),
        *("-kernel", str(path), "-append", qemu.append(words)),
    ]
