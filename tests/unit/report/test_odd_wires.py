"""Notes on an unusual wire are shown beside its rows."""

from __future__ import annotations

import made

from nearmetal.report import caveats
from nearmetal.report.compute import Setting, Standing, rows
from nearmetal.report.folder import _standing
from nearmetal.report.row import Row
from nearmetal.spec.rungs import find

UNPINNED = "unpinned receive: it stays on the sender's core: refused"
SMALL = "small pages: 0 of 80 MiB in free 2 MiB pages are too few"
SHARED = "shared core: server and generator use the same core"
OLD = "receive of the generator's end is not steered"


def test_notes_of_a_standing_wire_are_read() -> None:
    found = _standing({"wire": "veth", "notes": [UNPINNED], "sut_cpu": 1})
    assert (found.notes, found.cores.sut) == ((UNPINNED,), 1)
    assert _standing({"wire": "veth"}).notes == ()


def measured() -> dict[str, Row]:
    names = ("memcached", "host-sock", "host-dpdk", "ukp-netdev")
    trials = [each for name in names for each in made.rounds(name, "kv", [100_000] * 3)]
    wires = {
        "veth": Standing("veth", notes=(UNPINNED, SHARED, OLD)),
        "vhost-user": Standing("vhost-user", notes=(SMALL, SHARED)),
    }
    found = rows(Setting(spec=made.spec(*names), wires=wires), trials)
    return {row.rung: row for row in found if row.service == "kv"}


def test_they_stand_beside_the_rows_that_they_change() -> None:
    of = {name: row.labels for name, row in measured().items()}
    assert all(SHARED in labels for labels in of.values())
    assert UNPINNED in of["host-sock"] and UNPINNED not in of["host-dpdk"]
    assert not any(OLD in labels for labels in of.values())
    pages = {name for name, labels in of.items() if SMALL in labels}
    assert pages == {name for name in of if find(name).hugepages} >= {"ukp-netdev"}


def test_a_narrow_table_shows_their_kinds() -> None:
    assert [caveats.kind(note) for note in (UNPINNED, SMALL, SHARED)] == [
        "unpinned receive", "small pages", "shared core",
    ]  # fmt: skip
    assert SHARED in caveats.shared(measured().values())
