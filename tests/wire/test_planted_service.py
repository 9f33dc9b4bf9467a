"""A third service needs one C file and one row: both are added to a copy of the tree."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from targets import LOOPBACK, OPEN, Guard, Program

from nearmetal.kv.corpus import quick_corpus
from nearmetal.spec import rungs, services
from planted import Tree, tree

NAME = "mirror"
ROW = f"{NAME} - echo - seen - bytes - - 404040\n"
LINK_S = 280.0
# To a request that begins with this, mirror answers four times as much: a service that amplifies.
LOUD = b"loud"
_QUIET_LINE = "replies[nb].len = request->len;"
_LOUD_LINE = """replies[nb].len = request->len;
        if (request->len >= 4 && memcmp(request->room, "loud", 4) == 0)
            replies[nb].len *= 4;"""
_CONFIGURED = """
import json, sys
from pathlib import Path
from nearmetal.build import meson
folder = Path(sys.argv[1])
meson.configure(folder, "normal")
targets = meson.targets(folder)
print(json.dumps({name: str(path.relative_to(folder)) for name, path in targets.items()}))
"""


@dataclass(frozen=True)
class Planted:
    """The copy, its build folder, and its build targets."""

    tree: Tree
    folder: Path
    targets: dict[str, str]

    def python(self, *arguments: str) -> str:
        done = self.tree.python(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def build(self, name: str) -> str:
        ninja = Path(sys.executable).parent / "ninja"
        command = [str(ninja) if ninja.exists() else "ninja", "-C", str(self.folder)]
        done = subprocess.run(
            [*command, self.targets[name]], capture_output=True, text=True, timeout=LINK_S
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return str(self.folder / self.targets[name])


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    copy = tree(tmp_path_factory.mktemp("planted") / "tree")
    echo = (copy.root / "native/service/echo.c").read_text(encoding="utf-8")
    assert _QUIET_LINE in echo
    copy.add(f"native/service/{NAME}.c", echo.replace(_QUIET_LINE, _LOUD_LINE))
    copy.append("src/nearmetal/spec/services", ROW)
    assert copy.changed() == {f"native/service/{NAME}.c", "src/nearmetal/spec/services"}
    empty = Planted(copy, copy.root.with_name("build"), {})
    told = empty.python("-c", _CONFIGURED, str(empty.folder))
    yield Planted(copy, empty.folder, json.loads(told.splitlines()[-1]))


def test_there_is_a_program_of_each_kind(planted: Planted) -> None:
    others = {name for name in planted.targets if name.endswith("-echo")}
    assert {name.removesuffix("echo") + NAME for name in others} <= planted.targets.keys()
    assert f"nm-ukp-netdev-{NAME}" in planted.targets and f"nm-sock-{NAME}" in planted.targets


@pytest.mark.parametrize("datapath", ["sock", "mmsg"])
def test_it_answers_and_counts(planted: Planted, datapath: str) -> None:
    program = planted.build(f"nm-{datapath}-{NAME}")
    with closing(Program([program], OPEN, "127.0.0.1")) as target:
        assert target.ready["service"] == NAME
        assert quick_corpus("bytes", "127.0.0.1", target.port) is None
        final = target.final()
    assert final["seen"] == 0 and "items" not in final
    drops = final["drops"]
    assert isinstance(drops, dict) and drops["answered"] == final["received"] > 0
    assert "total" not in drops


@pytest.mark.parametrize("datapath", ["sock", "mmsg"])
def test_it_cannot_amplify(planted: Planted, datapath: str) -> None:
    program = planted.build(f"nm-{datapath}-{NAME}")
    guards = {4: OPEN, 0: Guard(allow=LOOPBACK, admin=LOOPBACK, trusted=("192.0.2.0/24",))}
    for times, guard in guards.items():
        with closing(Program([program], guard, "127.0.0.1")) as target:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.settimeout(10)
                client.connect(("127.0.0.1", target.port))
                for word in (b"first", LOUD, b"last"):
                    client.send(word)
                told = [client.recv(64) for _ in range(2 + (times > 0))]
            final = target.final()
        assert [len(datagram) for datagram in told] == [5, *[4 * times] * (times > 0), 4]
        drops = final["drops"]
        assert isinstance(drops, dict) and drops["amplify"] == (times == 0)
        assert drops["answered"] == final["replies"] == len(told)


def test_its_images_are_linked(planted: Planted) -> None:
    for name in (f"nm-ukp-netdev-{NAME}", f"nm-uk-netdev-{NAME}"):
        assert Path(planted.build(name)).stat().st_size > 0


def test_its_store_benchmark_finds_every_answer_right(planted: Planted) -> None:
    program = planted.build(f"nm-mem-{NAME}")
    small = ["--keys", "2000", "--requests", "20000", "--rounds", "1"]
    done = subprocess.run([program, *small], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1])["service"] == NAME


def test_commands_and_specs_take_it(planted: Planted) -> None:
    assert NAME in planted.python("-m", "nearmetal", "list")
    spec = planted.tree.root / "mirror.toml"
    spec.write_text(f'rungs = ["host-sock:{NAME}", "ukp-netdev:{NAME}"]\n')
    told = planted.python(
        "-c",
        "import sys; from pathlib import Path; from nearmetal import bench;"
        " from nearmetal.spec.experiment import load;"
        " print(bench.programs(load(Path(sys.argv[1]))))",
        str(spec),
    )
    assert f"nm-sock-{NAME}" in told and f"nm-ukp-netdev-{NAME}" in told
    unchanged = [row.name for row in rungs.RUNGS if row.place == "reference"]
    reference = planted.python(
        "-c",
        "from nearmetal.spec.rungs import RUNGS;"
        f" print([row.name for row in RUNGS if {NAME!r} not in row.services])",
    )
    assert reference.strip() == str(["memcached", "host-py", *unchanged[1:]])
    assert NAME not in services.NAMES  # of this tree
