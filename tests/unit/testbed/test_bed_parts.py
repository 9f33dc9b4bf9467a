"""Contract, parcels, merged counts: the parts of a testbed that need no machine."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

import pytest

from nearmetal.build import programs
from nearmetal.build.programs import Build, Program
from nearmetal.errors import CannotRunError, LostError, NearmetalError
from nearmetal.machine.facts import facts
from nearmetal.machine.processes.process import Child, Where
from nearmetal.paths import source_root
from nearmetal.spec.experiment import load
from nearmetal.testbed import deployment, flow, provider
from nearmetal.testbed.enos import EnosTestbed
from nearmetal.testbed.local import LocalTestbed
from nearmetal.testbed.provider import Facts, Host
from nearmetal.testbed.remote_agent import Station
from nearmetal.testbed.spec import parse
from nearmetal.testbed.trial import merged

HERE = Facts(
    "debian 12", "x86_64", frozenset({"cx16", "popcnt", "sse4_1", "sse4_2", "ssse3"}), "/c"
)


def test_both_back_ends_keep_the_contract() -> None:
    spec = parse(
        '[sut]\nhost = "a"\nnic = "x"\naddress = "10.0.0.1/24"\n'
        '[[tg]]\nhost = "b"\nnic = "x"\naddress = "10.0.0.2/24"\n',
        "x",
    )
    beds: list[provider.Testbed] = [LocalTestbed(["sut"]), EnosTestbed(spec)]
    for bed in beds:
        bed.release()
        bed.release()


def test_the_local_back_end_runs_fetches_and_knows_itself(tmp_path: Path) -> None:
    bed = LocalTestbed(["sut", "tg1"])
    sut, _ = bed.acquire()
    assert bed.facts(sut).machine == "x86_64"
    with bed.run(sut, ["sh", "-c", 'read x; echo "{\\"said\\": \\"$x\\"}"']) as child:
        child.say("word")
        assert child.event(5) == {"said": "word"}
    (tmp_path / "from").write_text("text")
    bed.fetch(sut, str(tmp_path / "from"), tmp_path / "to")
    assert (tmp_path / "to").read_text() == "text"


@pytest.mark.parametrize(
    ("there", "words"),
    [
        (HERE, None),
        (Facts("ubuntu 24.04", "x86_64", HERE.cpu_flags, "/c"), "ubuntu 24.04, not debian 12"),
        (Facts("debian 12", "aarch64", HERE.cpu_flags, "/c"), "it is aarch64"),
        (Facts("debian 12", "x86_64", frozenset({"cx16"}), "/c"), "no popcnt, sse4_1"),
    ],
)
def test_programs_go_only_to_machines_that_are_alike(there: Facts, words: str | None) -> None:
    why = deployment.alike(HERE, there)
    assert why is None if words is None else why is not None and words in why


def made(tmp_path: Path, content: bytes) -> Build:
    program = tmp_path / "nm-load"
    program.write_bytes(content)
    return Build(
        compiler="x", flags="x", isa="x", commit=None, dirty=False, folder="x", missing={},
        programs={"nm-load": Program(path=str(program), image_bytes=1, sha256="x")},
    )  # fmt: skip


def test_a_parcel_is_named_by_its_content(tmp_path: Path) -> None:
    first = deployment.pack(tmp_path, made(tmp_path, b"one"))
    with tarfile.open(first.archive) as tar:
        names = set(tar.getnames())
    assert {
        "nearmetal",
        "src/nearmetal/commands/cli.py",
        "built/nm-load",
        "built/build.json",
    } <= names
    assert not [name for name in names if "__pycache__" in name]
    assert deployment.pack(tmp_path, made(tmp_path, b"one")).sha256 == first.sha256
    assert deployment.pack(tmp_path, made(tmp_path, b"two")).sha256 != first.sha256
    assert deployment.pack(tmp_path, None).sha256 != first.sha256


def test_what_came_along_is_found_where_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = deployment.pack(tmp_path, made(tmp_path, b"one")).archive
    there = tmp_path / "there"
    there.mkdir()
    subprocess.run(["tar", "-xzf", str(archive), "-C", str(there)], check=True)
    monkeypatch.setattr(deployment, "source_root", lambda: there)

    def none_such(name: str) -> Program:
        raise CannotRunError(f"no {name}")

    monkeypatch.setattr(programs, "foreign", none_such)
    found = deployment.built(["nm-load", "nm-other", "memcached"])
    assert Path(found.programs["nm-load"].path).read_bytes() == b"one"
    assert found.missing == {"nm-other": "nm-other was not built", "memcached": "no memcached"}


def test_counts_of_generators_are_added_and_their_histograms_joined() -> None:
    one = {
        "event": "result", "duration_ns": 100, "sent": 3, "answered": 3, "slipped_ns": 5,
        "tsc_hz": 10, "latency": [[1, 2], [7, 1]], "cycles": {"empty": 1, "send": 2},
    }  # fmt: skip
    two = one | {"duration_ns": 101, "slipped_ns": 9, "latency": [[1, 1], [3, 2]]}
    both = merged([one, two])
    assert (both["sent"], both["answered"]) == (6, 6)
    assert (both["duration_ns"], both["slipped_ns"], both["tsc_hz"]) == (101, 9, 10)
    assert both["latency"] == [[1, 3], [3, 2], [7, 1]]
    assert sum(count for _, count in both["latency"]) == both["answered"]
    assert both["cycles"] == {"empty": 2, "send": 4}
    assert merged([one]) == one


def test_one_generator_s_wrong_answer_is_kept() -> None:
    right = {"event": "result", "sent": 3}
    wrong = right | {"first_wrong": "record 1: 2 bytes, expected 3"}
    for told in ([right, wrong], [wrong, right]):
        assert merged(told) == wrong | {"sent": 6}


def test_rows_are_put_on_the_wire_between_machines() -> None:
    spec = flow.rewired(load(source_root() / "specs" / "smoke.toml"))
    wires = {row.rung.name: row.rung.wire for row in spec.rungs}
    assert wires["host-sock"] == wires["host-dpdk"] == wires["memcached"] == "nic"
    assert wires["ukp-netdev"] == "pvp"
    assert {row.rung.generator for row in spec.rungs} == {"nm-load"}


def test_differences_of_machines_are_told() -> None:
    here = facts()
    other = here.model_copy(update={"kernel": "0.1", "governor": "powersave"})
    told = list(flow.differences({"sut": here, "tg1": here, "tg2": other}))
    assert told[0] == f"tg2 differs from sut: kernel: 0.1, not {here.kernel}"
    assert all(line.startswith("tg2 ") for line in told)


def test_an_agent_that_cannot_start_is_told_with_its_last_words() -> None:
    words = ["sh", "-c", "echo nearmetal: another run has this machine >&2; exit 1"]
    with Child(words, Where(), talks=True) as agent:
        station = Station(Host("tg1", "192.0.2.1"), agent)
        with pytest.raises(CannotRunError, match=r"tg1 \(192.0.2.1\).*not start.*another run has"):
            station.ask("hello", 10)


@pytest.mark.parametrize("line", ["Welcome to tg1!", "", "42"])
def test_a_shell_that_prints_is_told_with_its_cure(line: str) -> None:
    with Child(["sh", "-c", f"echo '{line}'; cat"], Where(), talks=True) as agent:
        station = Station(Host("tg1", "192.0.2.1"), agent)
        with pytest.raises(CannotRunError, match=r"not start.*must print nothing.*\.bashrc"):
            station.ask("hello", 10)


ECHO = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps({"child": 1, "line": {"event": "between"}}), flush=True)
    if asked["op"] == "die":
        sys.exit("out of order")
    answer = {"error": "no such thing"} if asked["op"] == "bad" else {"ok": asked["op"]}
    print(json.dumps({"id": asked["id"], **answer}), flush=True)
"""


def test_a_station_keeps_answers_and_lines_apart() -> None:
    import sys

    with Child([sys.executable, "-c", ECHO], Where(), talks=True) as agent:
        station = Station(Host("tg1", "192.0.2.1"), agent)
        first, second = station.post("one"), station.post("two")
        assert station.answer(second, 10) == "two"
        assert station.answer(first, 10) == "one"
        assert station.take(1, 10) == {"event": "between"}
        with pytest.raises(NearmetalError, match="tg1: no such thing"):
            station.ask("bad", 10)
        with pytest.raises(
            LostError, match=r"tg1 \(192.0.2.1\).*SSH connection is lost.*out of order"
        ):
            station.ask("die", 10)
