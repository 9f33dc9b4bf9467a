"""The wires: the facts in their files, an additional file, and topology.json of older runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

import planted_wire
from nearmetal.dut import available
from nearmetal.errors import BadInputError, NearmetalError
from nearmetal.machine.cores.placement import Cores
from nearmetal.machine.links import tried, xdp
from nearmetal.machine.vm.qemu import Tap
from nearmetal.paths import source_root
from nearmetal.report import caveats
from nearmetal.samples import Point
from nearmetal.spec.experiment import load
from nearmetal.spec.programs import programs_beside
from nearmetal.spec.rungs import RUNGS, Rung, find
from nearmetal.spec.window import Window, everywhere
from nearmetal.testbed.remote_dut import Order
from nearmetal.topology import bring_up, known
from nearmetal.topology.bring_up import Topologies
from nearmetal.topology.standing import Topology
from nearmetal.topology.wire import Wire
from nearmetal.topology.wires import loopback, nic, pvp, tap, veth, vhost_net, vhost_user

MIB = 1 << 20
LOOPBACK = loopback.Loopback(
    sut_netns=None, tg_netns=None, sut_addr="127.0.0.1", tg_addr="127.0.0.1",
    subnet="127.0.0.0/8", sut_iface="lo", tg_iface="lo", sut_cpu=0, tg_cpu=1,
    control_cpus=(2,), placement="",
)  # fmt: skip


# ---- facts in the files ----


def test_the_wires_that_there_are() -> None:
    names = ["lo", "nic", "pvp", "tap", "veth", "vhost-net", "vhost-user"]
    assert [wire.name for wire in known.known()] == names


def test_facts_that_others_ask_for() -> None:
    def those(fact: str) -> set[str]:
        return {wire.name for wire in known.known() if getattr(wire, fact)}

    assert those("shares_memory") == {"vhost-user"}
    assert those("switched") == {"pvp"}
    assert those("by_vhost_user") == {"vhost-user", "pvp"}
    assert those("tapped") == {"tap", "vhost-net"}
    assert those("sockets") == {"veth", "lo", "nic"}
    assert those("between_machines") == {"nic"}
    assert those("shares_ports") == those("caveat") == those("stands_in_for") == {"lo"}
    assert {wire.name for wire in known.known() if wire.shape == "pvp"} == {"pvp"}


def test_a_null_responder_is_a_row_and_a_generator_a_program() -> None:
    for wire in known.known():
        assert wire.generator in ("nm-load", "nm-load-vhost")
        if wire.null_responder is not None:
            assert find(wire.null_responder).services == ("echo",)
    told = {rung.name for rung in RUNGS if caveats.is_null_responder(rung.name)}
    assert told == {"limit-veth", "limit-nic", "ceiling"}


def test_an_unknown_wire_is_told_with_the_nearest() -> None:
    with pytest.raises(BadInputError, match=r"unknown wire 'vets'; did you mean veth\?"):
        known.find("vets")
    plain = find("host-sock").model_dump()
    with pytest.raises(ValidationError, match=r"did you mean vhost-user\?"):
        Rung.model_validate(plain | {"wire": "vhost_user"})


NO_RIGHT = "needs CAP_SYS_ADMIN, as root has it: network namespaces"


@pytest.fixture
def no_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Links are refused; all other needs are met."""
    monkeypatch.setattr(tried, "_why_not", lambda kind: NO_RIGHT)
    monkeypatch.setattr(tried, "raw_why_not", lambda: None)
    monkeypatch.setattr(xdp, "why_not", lambda: None)


@pytest.mark.usefixtures("no_right")
def test_without_the_right_lo_stands_in_and_what_it_cannot_is_left_out(tmp_path: Path) -> None:
    with bring_up.up_all(["pvp", "tap", "veth", "nic"]) as standing:
        assert [top.wire for top in standing.wires] == ["lo"]
        assert standing.of("veth").wire == "lo"
        assert (standing.itself("veth"), standing.instead_of("pvp")) == (None, None)
    with bring_up.up_all(["pvp"]) as standing:  # a run needs cores in any case
        assert [top.wire for top in standing.wires] == ["lo"]
    told = {name: available.why_not(find(name)) for name in ("limit-veth", "host-dpdk-pvp")}
    assert told == {
        "limit-veth": NO_RIGHT,
        "host-dpdk-pvp": NO_RIGHT,
    }
    there = tap.WIRE.devices[0].path
    guest = available.wire_why_not(find("guest-sock-tap"), made_up(tmp_path, there))
    assert guest == NO_RIGHT


def made_up(root: Path, *devices: str) -> Path:
    """Make the root of a machine with these devices."""
    for path in devices:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def test_what_a_machine_has_not_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tried, "_why_not", lambda kind: None)
    told = available.wire_why_not(find("guest-sock-tap"), tmp_path)
    assert told == "this machine has no /dev/net/tun; if its kernel has the module: modprobe tun"
    assert available.wire_why_not(find("guest-sock-tap"), made_up(tmp_path, "dev/net/tun")) is None


def failing(wire: Wire, error: Exception) -> Wire:
    """Return the wire, changed so that its set-up fails half-way."""

    @contextmanager
    def up(cores: Cores, hugepages_bytes: int) -> Iterator[Topology]:
        raise error
        yield LOOPBACK

    return replace(wire, up=up, tried=lambda: None)


def test_a_wire_that_fails_costs_its_rows_and_not_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    wires = {wire.name: wire for wire in known.known()}
    broken = NearmetalError("cannot make a veth pair: No such device")
    wires["veth"] = failing(wires["veth"], broken)
    wires["lo"] = replace(wires["lo"], stands_in_for=wires["veth"])
    wires["pvp"] = failing(wires["pvp"], OSError(28, "No space left on device"))
    monkeypatch.setattr(known, "known", lambda: tuple(wires.values()))
    with bring_up.up_all(["pvp", "veth"]) as standing:
        assert [top.wire for top in standing.wires] == ["lo"]
        assert standing.of("veth").wire == "lo"
        told = {
            name: available._without_wire(find(name), standing)
            for name in ("host-sock", "limit-veth", "host-dpdk-pvp")
        }
    assert told == {
        "host-sock": None,
        "limit-veth": f"the wire of this run is lo, not veth: {broken}",
        "host-dpdk-pvp": "[Errno 28] No space left on device",
    }


@pytest.mark.usefixtures("no_right")
def test_where_lo_is_down_too_nothing_carries_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    wires = {wire.name: wire for wire in known.known()}
    down = replace(wires["lo"], tried=lambda: "127.0.0.1 cannot be reached")
    wires["lo"] = down
    monkeypatch.setattr(loopback, "WIRE", down)
    monkeypatch.setattr(known, "known", lambda: tuple(wires.values()))
    assert available.wire_why_not(find("host-sock")) == NO_RIGHT
    with bring_up.up_all(["veth"]) as standing:
        assert [top.wire for top in standing.wires] == ["lo"]  # because a run needs cores
        assert available._without_wire(find("host-sock"), standing) == NO_RIGHT


def test_the_nic_of_a_virtual_machine_is_its_wires() -> None:
    common = LOOPBACK.model_dump(exclude={"wire"}) | {"sut_mac": "02:00:00:00:00:01"}
    by_qemu = tap.OnTap.model_validate(common | {"tg_iface": "t0"})
    assert by_qemu.vm_nic(256) == Tap("t0", "02:00:00:00:00:01", vhost=False)
    by_kernel = vhost_net.VhostNet.model_validate(common | {"tg_iface": "t0"})
    assert by_kernel.vm_nic(256) == Tap("t0", "02:00:00:00:00:01", vhost=True)
    shared = vhost_user.VhostUser.model_validate(common | {"directory": "/run/x"})
    assert str(getattr(shared.vm_nic(1024), "socket", None)) == "/run/x/vhost"


# ---- topology.json ----

# The format of version 2: each wire has the fields of all wires.
OLD = """
{
  "version": 2,
  "wires": [
    {
      "wire": "veth", "sut_netns": "/run/x/sut", "tg_netns": "/run/x/tg",
      "sut_addr": "198.18.0.1", "tg_addr": "198.18.0.2", "subnet": "198.18.0.0/24",
      "sut_iface": "nm-sut", "tg_iface": "nm-tg", "sut_cpu": 0, "tg_cpu": 1,
      "control_cpus": [1], "napi_pid": 4711, "sut_mac": null, "directory": null,
      "hugepages_bytes": 0, "switch_netns": null, "switch_cpus": [], "vmm_cpu": null,
      "tg_mac": null, "port": [], "placement": "server on core 0", "notes": ["a note"]
    },
    {
      "wire": "pvp", "sut_netns": null, "tg_netns": "/run/x/far",
      "sut_addr": "198.18.1.1", "tg_addr": "198.18.1.2", "subnet": "198.18.1.0/24",
      "sut_iface": "nm-nic", "tg_iface": "nm-far", "sut_cpu": 0, "tg_cpu": 1,
      "control_cpus": [1], "napi_pid": null, "sut_mac": "02:00:00:00:00:03",
      "directory": "/run/x/pvp", "hugepages_bytes": 0, "switch_netns": "/run/x/nic",
      "switch_cpus": [1], "vmm_cpu": 1, "tg_mac": "02:00:00:00:00:02", "port": [],
      "placement": "a third poller", "notes": []
    }
  ],
  "machine": []
}
"""


def test_topology_json_of_an_older_run_is_read() -> None:
    found = Topologies.model_validate_json(OLD)
    first, second = found.wires
    assert isinstance(first, veth.Veth) and isinstance(second, pvp.Pvp)
    assert (first.napi_pid, first.notes, found.version) == (4711, ("a note",), 2)
    assert (second.switch_netns, second.switch_cpus) == ("/run/x/nic", (1,))
    old = json.loads(OLD)["wires"]
    for top, was in zip(found.wires, old, strict=True):
        kept = json.loads(top.model_dump_json())
        assert kept.pop("generator") is None  # not recorded in older runs
        assert kept.pop("uncut", "") == ""
        assert kept == {name: value for name, value in was.items() if name in kept}
        assert all(value in (None, [], 0) for name, value in was.items() if name not in kept)


def test_a_wire_has_its_own_fields_only() -> None:
    wires = Topologies(wires=(LOOPBACK,))
    (told,) = json.loads(wires.model_dump_json())["wires"]
    assert set(told) == set(Topology.model_fields)
    assert Topologies.model_validate_json(wires.model_dump_json()) == wires
    with pytest.raises(ValidationError, match="switch_netns"):
        Topologies.model_validate({"wires": [told | {"switch_netns": "/run/x"}]})
    with pytest.raises(BadInputError, match="unknown wire"):
        Topologies.model_validate({"wires": [told | {"wire": "string"}]})


def test_an_order_over_the_network_keeps_what_is_a_wires_own() -> None:
    """The controller sends such an order to the server's machine."""
    direct = nic.Nic.model_validate(LOOPBACK.model_dump(exclude={"wire"}) | {"port": ("--x",)})
    rung = find("host-sock")
    order = Order(
        spec=load(source_root() / "specs" / "smoke.toml"), point=Point(), rung=rung,
        service="kv", topology=direct, nic="x0", address="198.18.0.1/24", take="af_packet",
    )  # fmt: skip
    sent = json.loads(json.dumps(order.model_dump(mode="json", by_alias=True)))
    assert Order.model_validate(sent) == order


# ---- an additional file ----


@pytest.fixture
def twin(tmp_path: Path) -> Iterator[str]:
    """A copy of lo, which any user may set up."""
    with planted_wire.planted(tmp_path, "lo"):
        yield planted_wire.NAME
    assert planted_wire.NAME not in (wire.name for wire in known.known())


def test_every_stage_knows_a_wire_of_one_more_file(twin: str) -> None:
    assert twin in (wire.name for wire in known.known())
    row = planted_wire.row("host-sock")
    assert (row.wire, row.generator) == (twin, "nm-load")
    assert Window().of(twin) == 128 and everywhere(7).of(twin) == 7
    assert programs_beside(row) == ["nm-load"]
    assert available.wire_why_not(row) is None
    with bring_up.up_all([twin]) as standing:
        assert standing.of(twin).wire == twin
        assert Topologies.model_validate_json(standing.model_dump_json()) == standing
    assert known.stand_in(veth.WIRE) == loopback.WIRE  # not the copy


def test_a_wire_of_one_more_file_may_have_a_window_of_its_own(tmp_path: Path) -> None:
    with planted_wire.planted(tmp_path, "vhost-user"):
        made = planted_wire.spec("host-dpdk")
        assert made.window.of(planted_wire.NAME) == 16  # the spec's value
        assert Window().of(planted_wire.NAME) == 256
        (one,) = made.rungs
        assert one.rung.generator == "nm-load-vhost"
        assert programs_beside(one.rung) == ["nm-load-vhost", "nm-relay"]
        said = {planted_wire.NAME: 1}
        assert Window.model_validate(said).of(planted_wire.NAME) == 1
    with pytest.raises(ValidationError, match="unknown key"):
        Window.model_validate(said)
