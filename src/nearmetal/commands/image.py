"""image: write a bootable image of a unikernel, and say how to boot and how to ask it."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from nearmetal.build import programs
from nearmetal.commands import serve_words
from nearmetal.dut import uk
from nearmetal.errors import BadInputError, CannotRunError, in_words
from nearmetal.machine.cores import cpus
from nearmetal.machine.memory import hugepages
from nearmetal.machine.vm import accelerator, qemu
from nearmetal.samples import Accelerator
from nearmetal.spec import own_service, services
from nearmetal.spec.programs import PROBE, program_of
from nearmetal.spec.rows import Named
from nearmetal.spec.rungs import RUNGS, Rung
from nearmetal.spec.services import ServiceRow

# The network that QEMU makes for a machine (-netdev user): the machine's address, and its sources.
_ADDRESS, _SUBNET = "10.0.2.15", "10.0.2.0/24"
_HOST = "127.0.0.1"
_KV_PORT = 11_211


def write(row: str, own: ServiceRow | None, out: Path | None, *, as_json: bool) -> Iterator[str]:
    """Build the image and write it to `out`; yield what to print. Raises BadInputError."""
    rung = _rung(row, own)
    service = own.name if own else services.FIRST
    port = own.own.port if own and own.own else _KV_PORT
    name = program_of(rung, service)
    built = programs.build([name, PROBE], own=(own,) if own else ())
    for each in (name, PROBE):
        if each not in built.programs:
            raise CannotRunError(f"{row}: {built.missing[each]}")
    probe = Path(built.programs[PROBE].path)
    runs_by = accelerator.choose(probe, cpus.choose(cpus.allowed()).sut)
    path = out or Path(f"{service}-{row}.img")
    try:
        shutil.copyfile(built.programs[name].path, path)
    except OSError as error:
        raise BadInputError(f"--out {path}: {in_words(error)}") from None
    memory = own_service.memory_bytes(own) if own else own_service.MEMORY_BYTES_MIN
    argv = _qemu(rung, runs_by, path, memory, port)
    ask = serve_words.ask(own, _HOST, port)
    if as_json:
        yield json.dumps({"image": str(path), "bytes": path.stat().st_size, "qemu": argv})
        return
    yield f"wrote {path}, {path.stat().st_size:,} bytes"
    yield f"boot it: {shlex.join(argv)}"
    if ask is not None:
        yield f"ask it:  {ask}"
    yield "end it:  Ctrl-C"


def _rung(name: str, own: ServiceRow | None) -> Rung:
    rung = Named(1, own=(own,) if own else ()).rung(name)
    if rung.place == "uk" and rung.absent is None:
        return rung
    known = ", ".join(each.name for each in RUNGS if each.place == "uk" and each.absent is None)
    raise BadInputError(f"{name} is not an image that a machine boots; give one of {known}")


def _qemu(rung: Rung, runs_by: Accelerator, path: Path, memory_bytes: int, port: int) -> list[str]:
    """Return the command that boots the image behind QEMU's own network."""
    assert rung.machine is not None
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
