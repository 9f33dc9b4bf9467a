"""An emulated PC, for actions that a test must not do to this machine: a Python program as the
first process of the distribution's kernel, with all modules that it imports, in an archive made for
it.

The program prints its results as JSON lines on the serial console; its end powers the machine off.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nearmetal.build import guest_modules
from nearmetal.build.guest_kernel import Kernel
from nearmetal.dut import cpio

# The beginning of the program.
PRELUDE = """
import ctypes, json, os, sys
libc = ctypes.CDLL(None, use_errno=True)
os.environ |= {"PATH": "/bin", "HOME": "/", "XDG_RUNTIME_DIR": "/run"}
for kind, where in (("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/run")):
    assert libc.mount(b"none", where.encode(), kind.encode(), 0, None) == 0, where
console = os.open("/dev/ttyS0", os.O_RDWR)
for number in (0, 1, 2):
    os.dup2(console, number)
for module in sorted(os.listdir("/modules")):
    handle = os.open(f"/modules/{module}", os.O_RDONLY)
    if libc.syscall(313, handle, b"", 0) != 0:  # finit_module(2)
        print(module, os.strerror(ctypes.get_errno()))
    os.close(handle)

def tell(**words):
    print(json.dumps(words), flush=True)

def power_off():
    os.sync()
    libc.reboot(0x4321FEDC)  # reboot(2): LINUX_REBOOT_CMD_POWER_OFF

def fault(kind, error, trace):
    sys.__excepthook__(kind, error, trace)
    power_off()

sys.excepthook = fault
"""
_FOLDERS = ("proc", "sys", "dev", "run", "tmp", "modules", "bin", "var", "var/run")
# Modules that Python imports late, by names in a string.
_LATE = "encodings.idna, encodings.ascii, encodings.utf_8, encodings.latin_1"


def archive(
    program: str,
    imports: str,
    kernel: Kernel,
    loaded: Sequence[str],
    *more: Path,
    beside: Mapping[str, Path] | None = None,
) -> bytes:
    """Return the whole file system; `more`: programs for /bin; `beside`: further files, by path."""
    interpreter = Path(sys.executable).resolve()
    sources, objects = _imported(imports)
    files = {path: path for path in (interpreter, *sources, *objects)}
    placed = {Path(place): path for place, path in (beside or {}).items()}
    files |= placed
    for each in (interpreter, *objects, *more, *placed.values()):
        files |= {path: path for path in _libraries(each)}
    files |= {Path("/bin") / path.name: path for path in more}
    found = {str(name)[1:]: path.read_bytes() for name, path in files.items()}
    order = kernel.modules.in_order(loaded)
    for number, path in enumerate(order):
        found[f"modules/{number:02}-{path.stem}"] = guest_modules.content(path)
    folders = {*_FOLDERS, *(str(up) for name in found for up in Path(name).parents)} - {"."}
    path = json.dumps([entry for entry in sys.path if entry])
    head = f"#!{interpreter} -SEsB\nimport sys\nsys.path[:0] = {path}\n"
    return cpio.archive(
        [
            *(cpio.folder(folder) for folder in sorted(folders)),
            *(cpio.file(name, content, executable=True) for name, content in found.items()),
            cpio.file("init", (head + PRELUDE + program).encode(), executable=True),
        ]
    )


def run(kernel: Path, initrd: Path, cmdline: str, *devices: str, limit_s: float) -> list[Any]:
    """Boot the machine; return the objects that it printed."""
    argv = [
        *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none"),
        *("-machine", "q35,kernel-irqchip=split", "-accel", "tcg", "-cpu", "max"),
        *("-m", "1024", "-smp", "2", "-no-reboot", "-serial", "stdio"),
        *("-kernel", str(kernel), "-initrd", str(initrd), *devices),
        *("-append", f"console=ttyS0 quiet panic=-1 {cmdline}"),
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=limit_s)
    lines = done.stdout.splitlines()
    told = [json.loads(line) for line in lines if line.startswith("{")]
    assert told and told[-1] == {"end": True}, done.stdout[-4000:] + done.stderr[-1000:]
    return told[:-1]


def _imported(imports: str) -> tuple[list[Path], list[Path]]:
    """Return the files of these modules: Python files, and shared objects."""
    code = f"import {imports}, {_LATE}, json, sys\n" + (
        "print(json.dumps([m.__file__ for m in list(sys.modules.values())"
        " if getattr(m, '__file__', None)]))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    paths = [Path(name) for name in json.loads(said.stdout)]
    return [p for p in paths if p.suffix == ".py"], [p for p in paths if ".so" in p.name]


def _libraries(program: Path) -> list[Path]:
    """Return a program's shared libraries, and their loader."""
    done = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False)
    words = (word for line in done.stdout.splitlines() for word in line.split())
    return [Path(word) for word in words if word.startswith("/")]
