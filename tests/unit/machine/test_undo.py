"""A thing is undone only if its identity matches; foreign and doubtful things stay."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from dead import abandon, written
from nearmetal.errors import NearmetalError
from nearmetal.machine import journal, records
from nearmetal.machine.journal import Journal
from nearmetal.machine.links import netns
from nearmetal.machine.processes import owner
from nearmetal.machine.processes.owner import Owner
from nearmetal.machine.undo import identity

HERE = owner.current()


def test_a_folder_that_was_there_is_another_s(tmp_path: Path, gone: Owner) -> None:
    thing = tmp_path / "thing"
    thing.mkdir()
    mine = Journal(tmp_path / "journal", HERE)
    with pytest.raises(FileExistsError), mine.folder(thing):
        pytest.fail("it was made")
    assert thing.is_dir() and {path.name for path in tmp_path.iterdir()} == {"thing", "journal"}
    # Killed before it was made, while it was made, and after its identity was recorded.
    first = tmp_path / "thing.1"
    for stage in range(3):
        known = identity(first) if stage == 2 else None
        if stage:
            first.mkdir()
            known = identity(first) if stage == 2 else None
        abandon(tmp_path, gone, "path", thing, inside=str(first), known_by=known)
        journal.clean(tmp_path)
        assert thing.is_dir() and not first.exists() and not written(tmp_path)


def test_a_path_of_which_it_is_not_known_whether_it_came_about(tmp_path: Path, gone: Owner) -> None:
    thing = tmp_path / "thing"
    thing.touch()
    abandon(tmp_path, gone, "path", thing, known_by=None)
    told = journal.swept(tmp_path)
    assert thing.exists() and len(written(tmp_path)) == 1
    assert any(f"{thing}: it may not be ours" in line for line in told.left)
    thing.unlink()
    journal.clean(tmp_path)
    assert not written(tmp_path)


@pytest.mark.parametrize(("now", "then"), [("new", "old"), ("old", "old"), ("other", "other")])
def test_a_value_is_given_back_if_it_is_still_ours(
    tmp_path: Path, gone: Owner, now: str, then: str
) -> None:
    value = tmp_path / "value"
    value.write_text(now)
    abandon(tmp_path, gone, "value", value, old="old", new="new")
    (told,) = journal.clean(tmp_path)
    assert value.read_text() == then and ("was set to other since" in told) == (now == "other")


def test_one_that_cannot_be_undone_does_not_hinder_the_rest(tmp_path: Path, gone: Owner) -> None:
    value = tmp_path / "value"
    value.write_text("new")
    abandon(tmp_path, gone, "value", value, old="old", new="new")
    abandon(tmp_path, gone, "value", tmp_path, old="old", new="new")  # a folder
    with pytest.raises(NearmetalError, match="cannot undo value"):
        journal.clean(tmp_path)
    assert value.read_text() == "old" and len(written(tmp_path)) == 1


@pytest.mark.usefixtures("space")
def test_a_link_is_known_by_its_index(tmp_path: Path, gone: Owner) -> None:
    mine = Journal(tmp_path / "journal", HERE)

    def indexes() -> list[int]:
        with IPRoute() as route:
            return list(route.link_lookup(ifname="nm-it"))

    def make(index: int) -> None:
        with IPRoute() as route:
            route.link("add", ifname="nm-it", kind="veth", index=index, peer={"ifname": "nm-peer"})

    make(77)  # of another owner
    with pytest.raises(NetlinkError, match="exists"), mine.link("nm-it") as index:
        make(index)
    assert indexes() == [77]
    with pytest.raises(OSError, match="busy"), mine.link("nm-it") as index:
        netns._make_tap("nm-it", index)
    assert indexes() == [77]
    for known_by in ("78", None):
        abandon(tmp_path, gone, "link", Path("nm-it"), known_by=known_by)
    told = journal.swept(tmp_path)
    assert indexes() == [77] and any("link nm-it: it may not be ours" in line for line in told.left)
    abandon(tmp_path, gone, "link", Path("nm-it"), known_by="77")
    journal.clean(tmp_path)
    assert indexes() == []
    with mine.link("nm-it") as index:
        netns._make_tap("nm-it", index)
        assert indexes() == [index]
    assert indexes() == []


@pytest.mark.usefixtures("space")
def test_a_link_that_names_a_dead_owner(tmp_path: Path, gone: Owner) -> None:
    """The owner's records are in a /run that is not visible here."""
    with IPRoute() as route:
        for number, who in enumerate((gone, HERE, replace(gone, space=1, boot="a"))):
            peer = {"ifname": f"peer-{number}"}
            route.link("add", ifname=f"nm-{number}", kind="veth", index=70 + number, peer=peer)
            route.link("set", index=70 + number, ifalias=f"nearmetal {who}")
        done = journal.swept(tmp_path)
        found = [link["index"] for link in route.get_links() if link["index"] >= 70]
    assert found == [71, 72] and f"link nm-0 (of {gone.pid})" in done.undone
    assert any(line.startswith("link nm-2: of pid") for line in done.left)


@pytest.mark.usefixtures("space")
def test_a_namespace_of_another_network_is_not_ours(tmp_path: Path, gone: Owner) -> None:
    with IPRoute() as route:
        route.link("add", ifname="nm-it", kind="veth", index=77, peer={"ifname": "nm-peer"})
    record = records.of_here("link", "nm-it", gone, known_by="77")
    outside = owner.namespace("net", str(os.getppid()))
    elsewhere = record.model_copy(update={"network": outside})
    records.write(tmp_path / "journal" / str(gone), elsewhere)
    told = journal.swept(tmp_path)
    assert any(f"link nm-it: in network namespace {outside}" in line for line in told.left)
    assert socket.if_nametoindex("nm-it") == 77
