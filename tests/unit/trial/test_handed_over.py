"""The control plane relies on no default of a native program: every option with a value is passed,
or its absence has a meaning. This test finds new options."""

from __future__ import annotations

import re

import pytest

from nearmetal.build.programs import Program
from nearmetal.commands.load import Options, _asked
from nearmetal.dut.command import Launch
from nearmetal.kv.admission import LOOPBACK
from nearmetal.paths import source_root
from nearmetal.samples import Point
from nearmetal.spec.experiment import Workload
from nearmetal.spec.rungs import find
from nearmetal.trial.generator import arguments, asker, pace

# The meaning of options that are absent.
NOT_SO = {
    "uniform or zipf": {"zipf", "uniform"},  # one of the two is always passed
    "closed loop": {"rate", "arrivals"},
    "any port": {"source-port"},
    "any core": {"lcores"},
    "the only one": {"share"},
    "found by ARP": {"target-mac"},
    "no faults": {"faults"},
    "set by the wire": {"socket", "source", "iface"},  # added by the wire's part of the command
    "a load of keys": {"records"},
    "the target": {"target", "service"},
}


def valued(file: str) -> set[str]:
    """The options of a program that take a value."""
    text = (source_root() / file).read_text()
    return set(re.findall(r'\{"([a-z-]+)",\s*(?:required_argument|\'\w\', true)', text))


def handed(argv: list[str]) -> set[str]:
    return {word.removeprefix("--") for word in argv if word.startswith("--")}


@pytest.mark.parametrize("zipf", [None, 0.99])
def test_a_load_is_handed_over_whole(zipf: float | None) -> None:
    wanted = valued("native/tg/cli/load_options.c") - set().union(*NOT_SO.values())
    assert {"time", "timeout", "warmup", "seed", "keys", "window"} <= wanted
    workload = Workload(zipf=zipf)
    measured = arguments(workload, 128, "kv", warmup_s=1, measured_s=3, seed=7)
    by_hand = _asked(Options("127.0.0.1:1", None, "standard", None, None, False), Point(), 0)
    for argv in (measured, by_hand, asker(workload, "kv")):
        assert handed(argv) >= wanted
        assert handed(argv) & {"zipf", "uniform"}
    assert handed(pace(10, "constant")) == NOT_SO["closed loop"]


def test_who_asks_first_takes_no_port_of_the_load() -> None:
    assert "source-port" not in handed(asker(Workload(source_port=9000), "kv"))


@pytest.mark.parametrize("name", ["host-mmsg", "host-sock", "ukp-netdev", "uk-netdev"])
def test_a_server_is_told_everything_but_its_seed(name: str) -> None:
    wanted = valued("native/program/options.c") - {"seed"}
    assert {"listen", "memory", "allow", "admin", "trusted", "every"} <= wanted
    rung = find(name)
    if rung.batch is None:
        wanted -= {"batch"}  # it handles one request at a time
    program = Program(path="/x", image_bytes=0, sha256="")
    launched = Launch(rung, "kv", {"x": program}, None, "127.0.0.1:11211", 1 << 20)
    words = launched.words()
    assert handed(words) >= wanted
    for option in ("allow", "admin", "trusted"):
        told = [words[i + 1] for i, word in enumerate(words) if word == f"--{option}"]
        assert tuple(told) == LOOPBACK


@pytest.mark.parametrize("listen", ["10.0.0.1:11211", "0.0.0.0:11211", "[::]:1", "nowhere", ""])
def test_beyond_loopback_allow_lists_are_required(listen: str) -> None:
    words = Launch(find("host-mmsg"), "kv", {}, None, listen, 1 << 20).words()
    assert "--allow" not in words and "--trusted" not in words
