"""Images as virtual machines, with a plain QEMU command line: their output, and how they end.

Images that violate the memory protection are built for tests: their service does so when it is
opened (tests/c/uk/service_trap.c). There is no back end here; the other wire tests send requests.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import tool
from nearmetal.build.programs import Build

END_S = 120.0
LISTEN = ("--listen", "10.0.0.2:11211", "--allow", "10.0.0.0/8", "--memory", "2MiB")
MACHINES = {
    "q35": (["-M", "q35"], "virtio-net-pci,vectors=0,romfile="),
    "microvm": (
        ["-M", "microvm,acpi=off,rtc=on", "-global", "virtio-mmio.force-legacy=false"],
        "virtio-net-device",
    ),
}
TRAPS = {
    "code": "it wrote to its code",
    "data": "it executed data",
    "stack": "it ran off its stack",
    "constant": "it wrote to its constants",
    "null": "it used a null pointer",
}
# Size limits: below 96 KB (netdev), 224 KB (lwip) and 400 KB (DPDK), and little above the sizes
# that GCC 12 and GCC 14 produce.
IMAGE_BYTES_MAX = {
    "nm-uk-netdev-kv": 74_000,
    "nm-uk-netdev-echo": 46_000,
    "nm-uk-lwip-kv": 94_000,
    "nm-uk-lwip-echo": 63_000,
    "nm-uk-dpdk-kv": 360_000,
    "nm-uk-dpdk-echo": 330_000,
    "nm-uk-limit": 34_000,
    "nm-uk-probe": 16_000,
}


DRIVERS = ("", "-dpdk")  # of the images that violate a rule: ours, and DPDK's, which needs PCI


@pytest.fixture(scope="module")
def built() -> Build:
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("QEMU is not installed (package qemu-system-x86)")
    traps = [f"nm-uk-trap-{what}{driver}" for what in (*TRAPS, "redzone") for driver in DRIVERS]
    return tool.sanitized(*IMAGE_BYTES_MAX, *traps)


def boot(
    image: Path, machine: str, words: Sequence[str], *, typed: str = "", nic: bool = True
) -> list[dict[str, Any]]:
    """Return its events until QEMU ends; send `typed` one byte at a time, each after an event."""
    arguments, device = MACHINES[machine]
    argv = ["qemu-system-x86_64", *arguments, "-accel", "tcg", "-cpu", "max", "-m", "32M"]
    argv += ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    argv += ["-serial", "stdio", "-kernel", str(image), "-append", " ".join(words)]
    if nic:
        argv += ["-netdev", "hubport,hubid=0,id=n", "-device", f"{device},netdev=n"]
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        bufsize=1,
    ) as qemu:
        assert qemu.stdin is not None and qemu.stdout is not None
        events = []
        try:
            for line in qemu.stdout:
                events.append(json.loads(line))
                if events[-1]["event"] != "boot" and typed:
                    qemu.stdin.write(typed[0])
                    qemu.stdin.flush()
                    typed = typed[1:]
            qemu.wait(END_S)
        finally:
            qemu.kill()
    assert qemu.returncode == 0
    return events


def image_of(build_: Build, name: str) -> Path:
    if name not in build_.programs:
        pytest.skip(f"{name} is not built here")
    return Path(build_.programs[name].path)


@pytest.mark.parametrize(
    ("image", "machine"),
    [
        *itertools.product(["nm-uk-netdev-kv", "nm-uk-lwip-echo", "nm-uk-limit"], MACHINES),
        ("nm-uk-dpdk-kv", "q35"),
    ],
)
def test_it_says_what_it_is_reports_and_stops(built: Build, machine: str, image: str) -> None:
    events = boot(image_of(built, image), machine, LISTEN, typed="ccq")
    assert [event["event"] for event in events] == [
        "boot",
        "ready",
        "counters",
        "counters",
        "final",
    ]
    first, ready = events[:2]
    assert first["image"] == image
    recorded = built.programs[image].libraries
    assert recorded is not None and set(first["libraries"]) == set(recorded)
    assert ready["transport"] == {"q35": "pci", "microvm": "mmio"}[machine]
    assert ready["clock"] == "pit" and 5e8 < ready["tsc_hz"] < 1e10
    assert ready["listen"] == "10.0.0.2:11211"
    assert events[-1]["received"] == 0


@pytest.mark.parametrize(("driver", "machine"), [("", "q35"), ("", "microvm"), ("-dpdk", "q35")])
@pytest.mark.parametrize("trap", TRAPS)
def test_what_it_may_not_stops_it_with_a_line(
    built: Build, driver: str, machine: str, trap: str
) -> None:
    first, event = boot(image_of(built, f"nm-uk-trap-{trap}{driver}"), machine, LISTEN)
    assert (first["event"], event["event"]) == ("boot", "failed")
    assert TRAPS[trap] in event["error"]
    assert re.search(r"address 0x[0-9a-f]+, instruction at 0x[0-9a-f]+", event["error"])


@pytest.mark.parametrize("driver", DRIVERS)
def test_an_interrupt_leaves_the_bytes_below_the_stack_pointer(built: Build, driver: str) -> None:
    _, event = boot(image_of(built, f"nm-uk-trap-redzone{driver}"), "q35", LISTEN)
    assert event == {"event": "failed", "error": "the red zone is as it was"}


@pytest.mark.parametrize(
    ("machine", "words", "nic", "said"),
    [
        ("q35", ["--memory", "20MiB"], True, "too little memory for DPDK"),
        ("q35", ["--", "--no-pci"], True, "it takes no EAL arguments"),
        ("q35", [], False, "no virtio network device on a PCI bus"),
        ("microvm", [], True, "no virtio network device on a PCI bus"),
    ],
)
def test_what_dpdk_s_driver_lacks_is_one_line(
    built: Build, machine: str, words: list[str], nic: bool, said: str
) -> None:
    image = image_of(built, "nm-uk-dpdk-echo")
    _, event = boot(image, machine, [*LISTEN, *words], nic=nic)
    assert event["event"] == "failed" and said in event["error"]


@pytest.mark.parametrize(
    ("words", "nic", "said"),
    [
        (["--memory", "33MiB"], True, "the machine does not have that much memory"),
        (["--memory", "lots"], True, "--memory lots: not a size"),
        (["--listen", "10.0.0.2:0"], True, "port"),
        (["--unheard-of"], True, "unknown option"),
        (["x" * 2048], True, "command line is too long"),
        ([], False, "no virtio network device"),
    ],
)
def test_what_it_cannot_be_given_is_one_line(
    built: Build, words: list[str], nic: bool, said: str
) -> None:
    image = image_of(built, "nm-uk-netdev-echo")
    _, event = boot(image, "microvm", [*LISTEN, *words], nic=nic)
    assert event["event"] == "failed" and said in event["error"]


@pytest.mark.parametrize("image", IMAGE_BYTES_MAX)
def test_how_large_it_is(built: Build, image: str) -> None:
    assert image_of(built, image).stat().st_size <= IMAGE_BYTES_MAX[image]
