"""A foreign image as a row, from a spec of a few lines: the distribution's kernel, and a file
system with only a first process and the distribution's memcached."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import tool
from nearmetal.build import fetched
from nearmetal.build import programs as build
from nearmetal.errors import NearmetalError
from nearmetal.spec import rungs
from nearmetal.spec.programs import programs_beside

cpio = pytest.importorskip("nearmetal.dut.cpio", reason="guests are not in this build")
image = pytest.importorskip("nearmetal.dut.guest_image")
kernel = pytest.importorskip("nearmetal.build.guest_kernel")

ADDRESS = "10.0.0.2"
SPEC = """
rungs = ["debian-memcached"]
rounds = 1
measured_s = 1.0
workload = {{ keys = 1_000 }}
[[image]]
name = "debian-memcached"
legacy = {legacy}
kernel = "{kernel}"
initrd = "memcached.cpio"
cmdline = '{cmdline}'
address = "{address}"
"""

pytestmark = pytest.mark.timeout(tool.RUN_S)


@pytest.mark.rung("image")
@pytest.mark.usefixtures("only_full")
@pytest.mark.parametrize("legacy", ["false", "true"])
def test_memcached_in_a_distribution_s_kernel(
    legacy: str, programs: Callable[[str], Path], tmp_path: Path
) -> None:
    """With virtio 1 and with the legacy interface: Linux has both."""
    for program in programs_beside(rungs.find("uk-netdev")):
        if (reason := build.why_not(program)) is not None:
            pytest.skip(reason)
    try:
        booted = kernel.provide()
        memcached, library_path = fetched.provide("memcached")
    except NearmetalError as error:
        pytest.skip(f"kernel or memcached not available here: {error}")
    init = programs("nm-guest-init").read_bytes()
    entries = image.entries(init, memcached.read_bytes(), booted.for_sockets())
    entries += libraries(memcached, library_path)
    (tmp_path / "memcached.cpio").write_bytes(cpio.archive(entries))
    server = f"-U 11211 -p 0 -t 1 -u root -m 16 -l {ADDRESS}"
    said = f'console=ttyS0 quiet panic=-1 nm.address={ADDRESS}/24 nm.server="{server}"'
    spec, out = tmp_path / "spec.toml", tmp_path / "out"
    values = {"kernel": booted.image, "cmdline": said, "address": ADDRESS, "legacy": legacy}
    spec.write_text(SPEC.format(**values))
    tool.bench(spec, out)
    (row,) = tool.rows(out).values()
    assert (row["status"], row["place"], row["wrong"]) == ("ok", "image", 0)
    assert row["answered"] > 0 and row["accelerator"] in ("tcg", "kvm")
    assert any(label.startswith("foreign image") for label in row["labels"])


def libraries(program: Path, library_path: str | None) -> Iterator[object]:
    """Return the program's libraries at the paths of its loader, and the user that it looks up."""
    environment = {**os.environ, **({"LD_LIBRARY_PATH": library_path} if library_path else {})}
    told = subprocess.run(
        ["ldd", program], env=environment, capture_output=True, text=True, check=True
    ).stdout
    yield from (cpio.folder(path) for path in ("lib64", "lib", "lib/x86_64-linux-gnu", "etc"))
    for path in map(Path, re.findall(r"(/\S+) \(0x", told)):
        folder = "lib64" if path.name.startswith("ld-linux") else "lib/x86_64-linux-gnu"
        yield cpio.file(f"{folder}/{path.name}", path.read_bytes(), executable=True)
    yield cpio.file("etc/passwd", b"root:x:0:0::/:/\n")
