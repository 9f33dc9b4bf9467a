"""The wires of a run: which are made, what they contain, and that they are removed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nearmetal.build.programs import Build, Program
from nearmetal.dut import eal
from nearmetal.dut.command import Launch
from nearmetal.dut.places import command
from nearmetal.machine.memory import hugepages
from nearmetal.machine.processes import owner
from nearmetal.spec.rungs import find
from nearmetal.topology import bring_up as topology
from nearmetal.topology.bring_up import Topologies
from nearmetal.topology.standing import Socketed
from nearmetal.topology.wires.vhost_user import VhostUser

MIB = 1 << 20


def pool_of(free_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a machine whose pool has this much free, for any request."""

    @contextmanager
    def reserved(journal: object, needed_bytes: int) -> Iterator[int]:
        yield free_bytes

    monkeypatch.setattr(hugepages, "reserved", reserved)


def vhost(**other: object) -> VhostUser:
    values = {
        "sut_netns": None, "tg_netns": None, "sut_addr": "198.18.0.1",
        "tg_addr": "198.18.0.2", "subnet": "198.18.0.0/24", "sut_iface": "", "tg_iface": "",
        "sut_cpu": 3, "tg_cpu": 4, "control_cpus": (5,), "sut_mac": "02:00:00:00:00:01",
        "directory": "/run/x", "hugepages_bytes": 128 * MIB, "placement": "",
    }  # fmt: skip
    return VhostUser.model_validate(values | other)


def test_a_folder_for_sockets_comes_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    pool_of(100 * MIB, monkeypatch)
    with topology.up("vhost-user", 80 * MIB) as top:
        assert isinstance(top, Socketed)
        folder = top.socket.parent
        assert folder.is_dir()
        (folder / "vhost").touch()
        assert (top.hugepages_bytes, top.sut.netns, top.tg.netns) == (100 * MIB, None, None)
        assert not any("pages" in note for note in top.notes)
        assert len(str(top.socket)) < 100  # sun_path holds 108 bytes: unix(7)
    assert not folder.exists()


@pytest.mark.parametrize("name", ["a,b", "a=b", "x" * 99])
def test_a_folder_whose_sockets_cannot_be_named_is_not_taken(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = tmp_path / name
    runtime.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("TMPDIR", str(runtime))
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert owner.state_directory() == Path("/tmp/nearmetal-1000")


def test_the_root_of_a_users_namespace_has_a_users_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(owner, "_fits", lambda folder: True)
    runtime = tmp_path / "a b's"
    runtime.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    assert owner.state_directory() == Path("/run/nearmetal")
    monkeypatch.setattr(owner, "_is_roots", lambda run: False)
    assert owner.state_directory() == runtime / "nearmetal"


def test_too_few_pages_are_told_and_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    pool_of(10 * MIB, monkeypatch)
    with topology.up("vhost-user", 80 * MIB) as top:
        assert top.hugepages_bytes == 0
        assert any("small pages: 10 of 80 MiB" in note for note in top.notes)


def test_every_wire_that_is_needed_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    pool_of(0, monkeypatch)
    with topology.up_all(["vhost-user", "vhost-user"]) as wires:
        assert [top.wire for top in wires.wires] == ["vhost-user"]
        assert wires.of("vhost-user").wire == "vhost-user"
        assert Topologies.model_validate_json(wires.model_dump_json()) == wires


def test_lo_stands_in_for_veth() -> None:
    with topology.up("lo") as lo:
        assert Topologies(wires=(lo,)).of("veth") is lo


def test_with_and_without_hugepages(made_build: Build) -> None:
    large = eal.arguments(launch("host-dpdk", made_build))
    small = eal.arguments(launch("host-dpdk", made_build, vhost(hugepages_bytes=0)))
    assert "--in-memory" in large and "--no-huge" not in large
    assert "--no-huge" in small and "--in-memory" not in small
    assert eal.prefix(vhost()) == []
    assert eal.prefix(vhost(hugepages_bytes=0)) == ["env", "RUNTIME_DIRECTORY=/run/x"]
    assert large[large.index("--lcores") + 1] == "0@(3)"
    assert "--no-pci" in large


def test_host_dpdk_and_testpmd_differ_in_nothing_but_the_program() -> None:
    ours, theirs = find("host-dpdk"), find("testpmd")
    names = ("batch", "ring", "virtio", "hugepages", "wire")
    assert [getattr(ours, name) for name in names] == [getattr(theirs, name) for name in names]
    assert eal.port(ours, vhost()) == eal.port(theirs, vhost())


def test_command_lines(made_build: Build) -> None:
    ours = command(launch("host-dpdk", made_build))
    words = list(ours.argv)
    assert words[:3] == ["/x/nm-dpdk-kv", "--listen", "198.18.0.1:11211"]
    assert words.index("--hugepages") < words.index("--") < words.index("--lcores")
    assert (ours.turns, ours.says_ready, ours.answers_arp) == ("counters", True, True)
    pmd = command(launch("testpmd", made_build))
    assert {"--forward-mode=5tswap", "--burst=32", "--rxd=1024", "--txd=1024"} <= set(pmd.argv)
    assert pmd.argv[pmd.argv.index("--lcores") + 1] == "0@(3),1@(3)"
    assert (pmd.turns, pmd.answers_arp) == ("testpmd", False)
    null = command(launch("ceiling", made_build))
    own = ("/x/nm-null-vhost", "--socket", "/run/x/vhost", "--ring", "1024")
    assert null.argv == (*own, "--hugepages")


def test_a_unikernel_as_a_process_is_started_by_its_tender(made_build: Build) -> None:
    made = command(launch("ukp-netdev", made_build))
    words = list(made.argv)
    assert words[:3] == ["/x/nm-tender", "--listen", "198.18.0.1:11211"]
    assert words[words.index("--batch") + 1] == "64"
    own = words[words.index("--") + 1 :]
    assert own == [
        "--image", "/x/nm-ukp-netdev-kv", "--socket", "/run/x/vhost",
        "--mac", "02:00:00:00:00:01", "--ring", "1024",
    ]  # fmt: skip
    assert {"--hugepages", "--poll"} <= set(words[: words.index("--")])
    assert (made.turns, made.says_ready, made.answers_arp) == ("counters", True, True)
    small = command(launch("ukp-netdev", made_build, vhost(hugepages_bytes=0)))
    assert "--hugepages" not in small.argv


def launch(name: str, build: Build, top: VhostUser | None = None) -> Launch:
    subnet = ("198.18.0.0/24",)
    return Launch(
        find(name), "kv", build.programs, top or vhost(), "198.18.0.1:11211", 8 * MIB,
        allow=subnet, admin=subnet, trusted=subnet, poll=True,
    )  # fmt: skip


@pytest.fixture
def made_build() -> Build:
    names = ("nm-dpdk-kv", "dpdk-testpmd", "nm-null-vhost", "nm-tender", "nm-ukp-netdev-kv")
    programs = {name: Program(path=f"/x/{name}", image_bytes=1, sha256="") for name in names}
    return Build(
        compiler="", flags="", isa="", commit=None, dirty=False, folder="", programs=programs,
        missing={},
    )  # fmt: skip
