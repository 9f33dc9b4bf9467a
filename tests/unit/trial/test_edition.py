"""Which edition of the generator sends the load of a wire, and how a run records it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nearmetal import bench
from nearmetal.build.programs import Build, Program
from nearmetal.dut import reference
from nearmetal.dut.command import Launch
from nearmetal.errors import BadInputError, CannotRunError
from nearmetal.samples import Point
from nearmetal.spec.experiment import Spec, load, points
from nearmetal.spec.rungs import find
from nearmetal.topology import known
from nearmetal.topology.bring_up import Topologies
from nearmetal.topology.wires import loopback, veth, vhost_user
from nearmetal.trial import edition

VETH = veth.Veth(
    sut_netns="/run/x/sut", tg_netns="/run/x/tg", sut_addr="198.18.0.1", tg_addr="198.18.0.2",
    subnet="198.18.0.0/24", sut_iface="s0", tg_iface="t0", sut_cpu=0, tg_cpu=1,
    control_cpus=(1,), placement="server on core 0", notes=("a note",),
)  # fmt: skip

NEXT = next(each.name for each in veth.WIRE.editions if each != veth.XDP)


def spec(tmp_path: Path, words: str = "") -> Spec:
    file = tmp_path / "made.toml"
    file.write_text(f'rungs = ["host-mmsg", "limit-veth", "host-dpdk"]\n{words}\n')
    return load(file)


def built(*names: str, **missing: str) -> Build:
    programs = {name: program(name) for name in names}
    return Build(
        compiler="", flags="", isa="", commit=None, dirty=False, folder="", programs=programs,
        missing={name.replace("_", "-"): why for name, why in missing.items()},
    )  # fmt: skip


def program(name: str) -> Program:
    return Program(path=f"/nowhere/{name}", image_bytes=1, sha256="0")


@pytest.fixture
def xdp(monkeypatch: pytest.MonkeyPatch) -> str:
    """The machine can run every edition of veth."""
    able = tuple(replace(each, tried=lambda _: None) for each in veth.WIRE.editions)
    wires = [
        replace(wire, editions=able) if wire.name == VETH.wire else wire for wire in known.known()
    ]
    monkeypatch.setattr(known, "known", lambda: tuple(wires))
    return f'generator = "{veth.XDP.program}"'


def test_editions_end_with_the_one_that_always_runs() -> None:
    for wire in known.known():
        for first in (None, *(each.name for each in wire.editions)):
            in_turn = wire.in_turn(first)
            assert in_turn[-1].name == wire.generator
            assert first is None or in_turn[0].name == first
    assert [each.name for each in vhost_user.WIRE.in_turn(veth.XDP.name)] == ["nm-load-vhost"]


def test_without_a_wish_it_is_the_first_of_the_file(tmp_path: Path) -> None:
    wanted = spec(tmp_path)
    (told,) = edition.settled(Topologies(wires=(VETH,)), wanted, built("nm-load")).wires
    assert (told.generator, told.notes) == (veth.JOINED.name, ("a note",))
    assert told.placement == f"server on core 0; {veth.JOINED.work}"
    assert edition.optional(wanted) == {
        each.program for each in veth.WIRE.editions[: veth.WIRE.editions.index(veth.SOCKETS)]
    }


def test_the_spec_names_what_is_tried_first(tmp_path: Path, xdp: str) -> None:
    wanted = spec(tmp_path, xdp)
    assert wanted.generator == veth.XDP.program
    assert veth.XDP.program in bench.programs(wanted) and "nm-load" in bench.programs(wanted)
    (told,) = edition.settled(
        Topologies(wires=(VETH,)), wanted, built("nm-load", veth.XDP.program)
    ).wires
    assert told.generator == veth.XDP.program
    assert told.placement == f"server on core 0; {veth.XDP.work}" and told.notes == VETH.notes
    again = Topologies.model_validate_json(Topologies(wires=(told,)).model_dump_json())
    assert again.wires == (told,)


def test_what_cannot_run_is_said_and_the_next_one_runs(tmp_path: Path, xdp: str) -> None:
    wanted = spec(tmp_path, xdp)
    build = built("nm-load", nm_load_xdp="no libxdp here")
    first, second = edition.settled(Topologies(wires=(VETH, loopback_top())), wanted, build).wires
    assert (first.generator, second.generator) == (NEXT, "nm-load")
    note = f"generator: nm-load-xdp cannot run here: no libxdp here; {NEXT} sends the load"
    assert first.notes == ("a note", note)
    assert second.notes == ()  # lo has no such edition


def loopback_top() -> loopback.Loopback:
    return loopback.Loopback.model_validate(
        VETH.model_dump(exclude={"wire", "napi_pid", "uncut", "notes"})
    )


def test_a_right_that_is_missing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, xdp: str
) -> None:
    refused = tuple(replace(each, tried=lambda _: "needs CAP_BPF") for each in veth.WIRE.editions)
    wires = tuple(replace(wire, editions=refused) if wire.editions else wire for wire in
                  known.known())  # fmt: skip
    monkeypatch.setattr(known, "known", lambda: wires)
    build = built("nm-load", veth.XDP.program)
    (told,) = edition.settled(Topologies(wires=(VETH,)), spec(tmp_path, xdp), build).wires
    assert told.generator == "nm-load" and "needs CAP_BPF" in told.notes[-1]


def test_a_sweep_measures_editions_one_beside_the_other(tmp_path: Path, xdp: str) -> None:
    names = (veth.SOCKETS.name, veth.XDP.name)
    wanted = spec(tmp_path, f"[sweep]\nedition = {list(names)}".replace("'", '"'))
    assert veth.XDP.program in edition.optional(wanted)
    build = built("nm-load", veth.XDP.program)
    (top,) = edition.settled(Topologies(wires=(VETH,)), wanted, build).wires
    assert top == VETH
    each = [edition.at_point(top, build, point) for point in points(wanted)]
    assert [found.generator for found in each] == list(names)
    other = edition.at_point(loopback_top(), build, Point(edition=veth.XDP.name))
    assert other == loopback_top()  # lo has no such edition
    with pytest.raises(CannotRunError, match="nm-load-xdp cannot run here: it was not built"):
        edition.at_point(top, built("nm-load"), Point(edition=veth.XDP.name))


def test_another_tree_s_generator_is_the_first_edition_that_it_has(tmp_path: Path) -> None:
    """A program of an older tree may lack an option."""
    wanted = spec(tmp_path)
    for knows, name in ((True, veth.JOINED.name), (False, veth.SOCKETS.name)):
        path = tmp_path / f"nm-load-{knows}"
        path.write_text(f'#!/bin/sh\n[ "$1" != --segment ] || exit {0 if knows else 2}\n')
        path.chmod(0o755)
        other = built().model_copy(
            update={"programs": {"nm-load": Program(path=str(path), image_bytes=1, sha256="0")}}
        )
        assert edition.of_other_tree(VETH, wanted, other).generator == name


def test_an_unknown_edition_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="unknown generator 'nm-load-xpd'; did you mean"):
        spec(tmp_path, 'generator = "nm-load-xpd"')


@pytest.mark.parametrize("generator", [None, "nm-load", veth.XDP.program])
def test_the_null_responder_s_peer_gets_one_program(generator: str | None) -> None:
    """The generator's end has room for one XDP program: the generator's own, or the responder's."""
    rung = find("limit-veth")
    top = VETH.model_copy(update={"generator": generator})
    programs = {"nm-null-xdp": program("nm-null-xdp")}
    argv = reference.command(Launch(rung, "echo", programs, top, "198.18.0.1:1", 1)).argv
    assert ("--peer" in argv) == (generator != veth.XDP.program)
