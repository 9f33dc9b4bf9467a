"""One place for a fact: a datapath, wire or service is named only in its own file and row.

Other files query the table for properties (in frames? polls? a switch between?). Checked are the
strings of src/nearmetal, and the quoted words in files of meson and the shell. Only Python knows
wires, so for wires the strings of src/nearmetal and of shared test files are checked. For services,
C files are checked too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import pytest
import tree

from nearmetal.spec import services
from nearmetal.spec.datapaths import datapaths
from nearmetal.topology import wires
from nearmetal.topology.known import known

DATAPATHS = {each.name for each in datapaths()}
WIRES = {wire.name for wire in known()}
WIRE_FILES = "src/nearmetal/topology/wires"
# kind -> file -> reason
EXCEPTIONS = {
    "datapath": {
        "src/nearmetal/kv/server.py": "the datapath py itself, which prints its name",
        "src/nearmetal/build/sources.py": "the name of lwIP's source",
        "src/nearmetal/dut/available.py": "the package group of DPDK",
        "src/nearmetal/commands/bench_options.py": "--take dpdk: the driver that takes a NIC",
        "src/nearmetal/machine/links/nic.py": "take = dpdk: the driver that takes a NIC",
        "src/nearmetal/testbed/data_nic.py": "take = dpdk: the driver that takes a NIC",
        "src/nearmetal/testbed/remote_dut.py": "take = dpdk: the driver that takes a NIC",
        "nearmetal": "the package group of DPDK",
        "src/nearmetal/build/setup.sh": "the package group of DPDK",
        "native/datapath/meson.build": "a library built from source has no dependency",
        "native/uk/images/meson.build": "what else the images of lwIP and DPDK contain",
        "native/uk/lib/meson.build": "the micro-libraries of lwIP and DPDK",
        "tests/c/uk/meson.build": "units of one datapath, and images that break its rules",
        "tests/c/lwip/meson.build": "units of one datapath",
        "tests/c/liar/meson.build": "what else the images of DPDK contain",
        "tests/c/meson.build": "the folder of one datapath's units",
    },
    "wire": {
        "src/nearmetal/spec/rungs.py": "rows name their wire",
        "src/nearmetal/spec/foreign_images.py": "the wire of a spec's own row",
        "src/nearmetal/spec/datapaths.py": "nic: a column of the table, the owner of the NIC",
        "src/nearmetal/topology/wire.py": "pvp: a topology with a wire of the same name",
        "src/nearmetal/machine/links/netns.py": "kinds and names of the kernel's links",
        "src/nearmetal/machine/links/nic.py": "lo: an interface",
        "src/nearmetal/machine/links/tried.py": "kinds of the kernel's links",
        "src/nearmetal/machine/vm/qemu.py": "nic: a name for QEMU",
        "src/nearmetal/dut/reference.py": "veth: a driver of the kernel",
        "src/nearmetal/testbed/data_nic.py": "veth: a driver of the kernel; lo: an interface",
        "src/nearmetal/testbed/rehearsal.py": "kinds and names of the kernel's links",
        "src/nearmetal/testbed/spec.py": "nic: a key of the machines' file",
        "src/nearmetal/commands/switch.py": "nic: a key of the last line",
        "tests/unit/report/made.py": "the topology.json of a made-up run",
    },
    "service": {
        "src/nearmetal/spec/rungs.py": "a foreign program answers the load of one service",
        "src/nearmetal/spec/services.py": "reads the table; loads have the names that rows use",
        "src/nearmetal/kv/server_options.py": "both services in Python: their own file",
        "native/tg/cli/load_options.c": "the generator's loads, in a message",
        "native/tg/loop/loop_kv.c": "the load of this name",
        "native/tg/loop/loop_echo.c": "the load of this name",
        "native/tools/meson.build": "where the store's cycles go: a program of kv alone",
    },
}
KINDS = {"datapath": DATAPATHS, "wire": WIRES, "service": set(services.NAMES)}
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
_QUOTED = re.compile(r"'([^'\n]*)'|\"([^\"\n]*)\"")


def named(file: str, text: str, names: Iterable[str]) -> Iterator[str]:
    """Find the names in a file: as a whole string, or inside a program's name."""
    pattern = "|".join(sorted(names))
    word = re.compile(
        rf"(?:{pattern})|nm-(?:[a-z]+-)?(?:{pattern})-.*|nm-(?:[a-z]+-)+(?:{pattern})"
    )
    for line, said in _strings(file, text):
        if word.fullmatch(said):
            yield f"{file}:{line}: {said!r}"


def _strings(file: str, text: str) -> Iterator[tuple[int, str]]:
    if file.endswith(".py"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.lineno, node.value
        return
    if file.endswith((".c", ".h")):
        text = _COMMENT.sub(lambda found: "\n" * found[0].count("\n"), text)
    for number, line in enumerate(text.splitlines(), 1):
        for one, other in _QUOTED.findall(line.partition("#")[0]):
            for said in (one or other).split():
                yield number, said


def looked_at(kind: str) -> list[str]:
    python = [name for name in tree.files(".py") if name.startswith("src/nearmetal/")]
    if kind == "wire":
        return [*python, *filter(_is_shared, tree.files(".py"))]
    if kind == "service":
        native = tree.files(".c", ".h", "meson.build")
        return [*python, *(name for name in native if name.startswith("native/"))]
    return [*python, *tree.files("meson.build", ".sh"), "nearmetal"]


def _is_shared(name: str) -> bool:
    """Whether the file is shared by several tests."""
    path = PurePosixPath(name)
    return path.parts[0] == "tests" and not path.name.startswith("test_")


def own(kind: str, file: str) -> set[str]:
    """Return the names that a file may have: a wire's file its own name, and no other wire's."""
    return {name for name in KINDS[kind] if kind == "wire" and file == file_of(name)}


def file_of(wire: str) -> str:
    (found,) = (each for each in known() if each.name == wire)
    return f"{WIRE_FILES}/{found.topology.__module__.rpartition('.')[2]}.py"


@pytest.mark.parametrize("kind", KINDS)
def test_only_its_own_file_and_row_name_it(kind: str) -> None:
    found = [
        where
        for file in looked_at(kind)
        if file not in EXCEPTIONS[kind]
        for where in named(file, tree.read(file), KINDS[kind] - own(kind, file))
    ]
    assert found == []


@pytest.mark.parametrize("kind", KINDS)
def test_each_exception_is_needed(kind: str) -> None:
    idle = [file for file in EXCEPTIONS[kind] if not any(named(file, tree.read(file), KINDS[kind]))]
    assert idle == []


def test_every_wire_has_a_file_and_every_file_is_a_wire() -> None:
    files = {f"{WIRE_FILES}/{path.name}" for path in Path(wires.__path__[0]).glob("*.py")}
    assert {file_of(name) for name in WIRES} == files - {f"{WIRE_FILES}/__init__.py"}


@pytest.mark.parametrize(
    "text",
    [
        'if top.wire == "veth":\n    pass\n',
        'WireName = Literal["here", "veth"]\n',
        'NULL_RESPONDER = {"veth": "limit-veth"}\n',
        'def f(wire: str = "veth") -> None: ...\n',
        'match wire:\n    case "veth":\n        pass\n',
    ],
)
def test_a_wires_name_is_found(text: str) -> None:
    file = "src/nearmetal/report/compute.py"
    assert len(list(named(file, text, WIRES - own("wire", file)))) == 1
    other = file_of("lo")
    assert len(list(named(other, text, WIRES - own("wire", other)))) == 1
    itself = file_of("veth")
    assert list(named(itself, text, WIRES - own("wire", itself))) == []


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("a.py", 'if rung.datapath == "mmsg":\n    pass\n'),
        ("a.py", 'KERNEL = ("sock", "mine")\n'),
        ("a.py", 'wanted = "nm-guest-dpdk-kv"\n'),
        ("meson.build", "foreach name : ['sock']\n"),
        ("a.sh", 'serve "nm-mmsg-kv"\n'),
    ],
)
def test_a_name_is_found(file: str, text: str) -> None:
    assert len(list(named(file, text, DATAPATHS))) == 1


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("a.py", 'if service == "kv":\n    pass\n'),
        ("a.py", 'name = "nm-sock-kv"\n'),
        ("a.c", '/* "kv" */\nint x = is("kv") || is("kvargs");\n'),
        ("meson.build", "# 'kv'\nprogram = services['kv']\n"),
    ],
)
def test_a_services_name_is_found(file: str, text: str) -> None:
    assert len(list(named(file, text, {"kv"}))) == 1


def test_words_are_no_names() -> None:
    text = '"""The socket, mmsg and DPDK."""\nx = "socket"\ny = "nm-load"\n'
    assert list(named("a.py", text, DATAPATHS)) == []
