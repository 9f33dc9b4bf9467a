"""A fact stands in one place: who names a datapath, beside its own file and its row.

Others ask the table for what they want to know (in frames? polls? which library?). Looked at are
the strings of src/nearmetal, and the quoted words of meson's and the shell's files.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

import pytest
import tree

from nearmetal.spec.datapaths import datapaths

DATAPATHS = {each.name for each in datapaths()}
# kind -> file -> why it may
EXCEPTIONS = {
    "datapath": {
        "src/nearmetal/kv/server.py": "it is the datapath py, and says so as each program does",
        "src/nearmetal/spec/rungs.py": "uk-dpdk: a row without a program",
        "src/nearmetal/build/sources.py": "the name of lwIP's source",
        "src/nearmetal/dut/available.py": "a package group, DPDK's",
        "src/nearmetal/commands/cli.py": "--take dpdk: who takes a NIC",
        "src/nearmetal/machine/links/nic.py": "take = dpdk: who takes a NIC",
        "src/nearmetal/testbed/data_nic.py": "take = dpdk: who takes a NIC",
        "src/nearmetal/testbed/remote_dut.py": "take = dpdk: who takes a NIC",
        "nearmetal": "a package group, DPDK's",
        "src/nearmetal/build/setup.sh": "a package group, DPDK's",
        "native/datapath/meson.build": "a library that comes as source has no dependency",
        "native/uk/images/meson.build": "lwIP's images have the ring's driver below it",
        "native/uk/lib/meson.build": "the micro-library of lwIP",
        "tests/c/uk/meson.build": "units of one datapath, and images that break its rules",
        "tests/c/lwip/meson.build": "units of one datapath",
        "tests/c/meson.build": "the folder of one datapath's units",
    }
}
KINDS = {"datapath": DATAPATHS}
_QUOTED = re.compile(r"'([^'\n]*)'|\"([^\"\n]*)\"")


def named(file: str, text: str, names: Iterable[str]) -> Iterator[str]:
    """Where a file has one of the names as a string, or as the middle of a program's name."""
    pattern = "|".join(sorted(names))
    word = re.compile(rf"(?:{pattern})|nm-(?:[a-z]+-)?(?:{pattern})-.*")
    for line, said in _strings(file, text):
        if word.fullmatch(said):
            yield f"{file}:{line}: {said!r}"


def _strings(file: str, text: str) -> Iterator[tuple[int, str]]:
    if file.endswith(".py"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.lineno, node.value
        return
    for number, line in enumerate(text.splitlines(), 1):
        for one, other in _QUOTED.findall(line.partition("#")[0]):
            for said in (one or other).split():
                yield number, said


def looked_at() -> list[str]:
    python = [name for name in tree.files(".py") if name.startswith("src/nearmetal/")]
    return [*python, *tree.files("meson.build", ".sh"), "nearmetal"]


@pytest.mark.parametrize("kind", KINDS)
def test_only_its_own_file_and_row_name_it(kind: str) -> None:
    found = [
        where
        for file in looked_at()
        if file not in EXCEPTIONS[kind]
        for where in named(file, tree.read(file), KINDS[kind])
    ]
    assert found == []


@pytest.mark.parametrize("kind", KINDS)
def test_each_exception_is_needed(kind: str) -> None:
    idle = [file for file in EXCEPTIONS[kind] if not any(named(file, tree.read(file), KINDS[kind]))]
    assert idle == []


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


def test_words_are_no_names() -> None:
    text = '"""The socket, mmsg and DPDK."""\nx = "socket"\ny = "nm-load"\n'
    assert list(named("a.py", text, DATAPATHS)) == []
