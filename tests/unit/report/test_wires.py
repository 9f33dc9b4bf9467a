"""Rows of several wires in one run: their ceilings, their pollers, their ratios."""

from __future__ import annotations

from pathlib import Path

import made

import planted_wire
from nearmetal.report import folder
from nearmetal.report.compute import Setting, Standing, rows
from nearmetal.samples import Poller, Sample


def vhost(rung: str, service: str, rate: int, busy: int, empty: int) -> list[Sample]:
    """Return three rounds on the shared-memory wire, with the cycles of both pollers."""
    generator = Poller(busy_cycles=99, empty_cycles=1)
    return made.rounds(
        rung,
        service,
        [rate] * 3,
        busy_cycles_per_reply=260.0,
        busy_share=busy / (busy + empty),
        sut_poller=Poller(busy_cycles=busy, empty_cycles=empty),
        tg_poller=generator,
    )


def test_rows_of_two_wires_stand_beside_each_other_and_say_so() -> None:
    trials = [
        *made.rounds("memcached", "kv", [100_000] * 3),
        *made.rounds("host-sock", "kv", [200_000] * 3),
        *vhost("host-dpdk", "kv", 4_000_000, 99, 1),
        *vhost("host-dpdk", "echo", 5_000_000, 90, 10),
        *vhost("ceiling", "echo", 9_000_000, 40, 60),
    ]
    spec = made.spec("memcached", "host-sock", "host-dpdk", "ceiling")
    found = {f"{r.rung} {r.service}": r for r in rows(Setting(spec=spec), trials)}
    ours = found["host-dpdk kv"]
    assert ours.vs_memcached.by_rate == 40
    assert any(label.startswith("across wires: ") for label in ours.labels)
    assert not any("across" in label for label in found["host-sock kv"].labels)
    assert (ours.wire, ours.window, ours.generator) == ("vhost-user", 256, "nm-load-vhost")
    assert (found["host-sock kv"].window, found["host-sock kv"].generator) == (128, "nm-load")
    assert ours.generator_ceiling_per_s == 9_000_000
    assert found["host-sock kv"].generator_ceiling_per_s is None  # the ceiling is of another wire
    assert ours.generator_bound is False
    assert found["host-dpdk echo"].generator_bound is True  # a tenth of its cycles were empty polls


def test_the_ceiling_names_the_wall() -> None:
    spec = made.spec("ceiling")
    for busy, wall in ((40, "the limit is the generator: "), (100, "the limit is the responder: ")):
        (row,) = rows(Setting(spec=spec), vhost("ceiling", "echo", 9_000_000, busy, 100 - busy))
        (label,) = (each for each in row.labels if each.startswith("ceiling: "))
        assert wall in label
        assert f"busy for 99 % of their cycles, the responder's for {busy} %" in label


def test_a_row_on_a_wire_of_one_more_file(tmp_path: Path) -> None:
    """The file of the wire gives its ceiling, window and label."""
    trials = [
        *made.rounds("memcached", "kv", [100_000] * 3),
        *made.rounds("host-mmsg", "kv", [200_000] * 3),
        *made.rounds("limit-veth", "echo", [900_000] * 3),
    ]
    with planted_wire.planted(tmp_path, "veth"):
        spec = made.spec("memcached", "host-mmsg", "limit-veth")
        put = [
            row.model_copy(update={"rung": planted_wire.row(row.rung.name)}) for row in spec.rungs
        ]
        spec = spec.model_copy(update={"rungs": (spec.rungs[0], put[1], spec.rungs[2])})
        found = {f"{r.rung} {r.service}": r for r in rows(Setting(spec=spec), trials)}
    ours = found["host-mmsg kv"]
    assert (ours.wire, ours.topology, ours.window) == (planted_wire.NAME, "p2p", 128)
    assert (ours.generator, ours.generator_ceiling_per_s) == ("nm-load", 900_000)
    assert ours.vs_memcached.by_rate == 2 and not any("across" in label for label in ours.labels)


def test_the_generator_is_that_of_the_run(tmp_path: Path) -> None:
    wire = made.TOPOLOGY | {"generator": "nm-load-xdp"}
    run = made.folder(
        tmp_path / "run", made.spec("host-sock"), [], {}, topology={"version": 3, "wires": [wire]}
    )
    found = rows(folder.read(run).setting(), made.rounds("host-sock", "kv", [1000]))
    assert {row.generator for row in found} == {"nm-load-xdp"}


def test_a_folder_of_an_older_run_is_read(tmp_path: Path) -> None:
    """In that format lo was recorded for veth, and each wire had the fields of all wires."""
    wires = [made.TOPOLOGY | {"wire": name, "switch_cpus": []} for name in ("lo", "vhost-user")]
    run = made.folder(
        tmp_path / "run", made.spec("host-sock"), [], {}, topology={"version": 2, "wires": wires}
    )
    setting = folder.read(run).setting()
    assert {name: each.wire for name, each in setting.wires.items()} == {
        "veth": "lo",
        "vhost-user": "vhost-user",
    }
    (row, *_) = rows(setting, made.rounds("host-sock", "kv", [100_000] * 3))
    assert row.wire == "lo" and any(label.startswith("wire lo: ") for label in row.labels)


def test_a_row_names_the_edition_of_its_generator(tmp_path: Path) -> None:
    note = "generator: nm-load --segment cannot run here: it stays on; nm-load sends the load"
    for notes, name in (([], "nm-load --segment"), ([note], "nm-load")):
        wire = made.TOPOLOGY | {"wire": "veth", "generator": name, "notes": notes}
        run = made.folder(
            tmp_path / name,
            made.spec("host-sock"),
            [],
            {},
            topology={"version": 3, "wires": [wire]},
        )
        (row, *_) = rows(folder.read(run).setting(), made.rounds("host-sock", "kv", [100_000] * 3))
        assert row.generator == name
        assert [label for label in row.labels if label.startswith("generator: ")] == notes


def test_a_null_responder_between_machines_is_missed_there_only() -> None:
    """With machines, pvp uses the data NIC's null responder; on one machine it has none."""
    spec = made.spec("host-dpdk-pvp")
    wires = {"pvp": Standing("pvp")}
    (row, _) = rows(
        Setting(spec=spec, wires=wires), made.rounds("host-dpdk-pvp", "kv", [1_000_000] * 3)
    )
    assert any(label.startswith("ceiling unknown: pvp has no null") for label in row.labels)
