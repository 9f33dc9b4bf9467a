"""Users' services on other machines: their files in the parcel, and the rows that name them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nearmetal.bench import spec_path, with_records
from nearmetal.commands import own as own_options
from nearmetal.commands import testbed as command
from nearmetal.errors import BadInputError
from nearmetal.machine.links.frames import UDP_BYTES_MAX
from nearmetal.samples import Point
from nearmetal.service.load import Loaded
from nearmetal.spec import own_service, services
from nearmetal.spec.experiment import Spec, load
from nearmetal.spec.services import ServiceRow
from nearmetal.testbed import deployment, flow, operations, own_files
from nearmetal.testbed.remote_dut import Order
from nearmetal.testbed.spec import Seat
from nearmetal.testbed.trial import Place
from nearmetal.topology.wires.nic import Nic
from nearmetal.trial import generator

TEXT = """
from nearmetal.service import Id, Service, State, copy, i64
from names import SIZE
class Kept(State):
    sizes = i64()
service = Service("mine", port=7000, state=Kept, id=Id(0, 0), request_bytes_min=2)
def init(state, args):
    state.sizes = SIZE + len(args.file("near", "data/near.txt")) + len(args.file("far", "../far"))
def answer(request, reply, state, source, now_ns):
    return copy(reply, 0, request, 0, len(request))
def requests():
    return [b"abcd", b"efgh"]
"""


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test's services are known to this test only."""
    monkeypatch.setattr(services, "_OWN", {})
    yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A service with an import, a file that it reads beside it, and one elsewhere."""
    folder = tmp_path / "here"
    (folder / "data").mkdir(parents=True)
    (folder / "mine.py").write_text(TEXT)
    (folder / "names.py").write_text("SIZE = 7\n")
    (folder / "data" / "near.txt").write_text("near")
    (tmp_path / "far").write_text("far away")
    (folder / "unused.py").write_text("raise SystemExit\n")
    return folder


def chosen(folder: Path, *more: str, name: str = "mine.py") -> Spec:
    """The spec of a run whose records are written, as the controller has it."""
    (folder / "run").mkdir(exist_ok=True)
    rows = own_options.rows([folder / name], more)
    return with_records(load(spec_path("smoke"), "host-py,host-mmsg", rows), folder / "run")


def deployed(tmp_path: Path, spec: Spec) -> tuple[Path, ServiceRow]:
    """Unpack the parcel of a machine that builds for itself; return its folder, and the row."""
    carried = own_files.carried(spec.own[0])
    parcel = deployment.pack(tmp_path, None, [carried])
    there = tmp_path / "there" / parcel.sha256
    there.mkdir(parents=True)
    subprocess.run(["tar", "-xzf", parcel.archive, "-C", there], check=True)
    return there, carried.at(str(there))


def test_its_files_come_along_and_give_the_same_service(tmp_path: Path, folder: Path) -> None:
    spec = chosen(folder)
    there, row = deployed(tmp_path, spec)
    files = {str(each.relative_to(there)) for each in (there / "services").rglob("*.*")}
    assert files == {
        *(f"services/mine{each}" for each in ("/mine.py", "/names.py", "/data/near.txt")),
        *("services/mine.records",),
    }
    assert (there / "services/mine/outside-0/far").read_text() == "far away"
    for each in folder.rglob("*.*"):
        each.unlink()
    (tmp_path / "far").unlink()
    assert own_service.loaded(row).block == (7 + 4 + 8).to_bytes(8, "little")
    assert row.own is not None and row.own.path == f"{there}/services/mine/mine.py"
    assert Path(str(row.own.records)).read_bytes().startswith(b"nmreplay")


@pytest.mark.parametrize("way", ["relative", "absolute"])
def test_a_file_elsewhere_that_an_argument_names_is_found_there(
    tmp_path: Path, folder: Path, way: str
) -> None:
    given = "../far" if way == "relative" else str(tmp_path / "far")
    _, row = deployed(tmp_path, chosen(folder, f"far={given}", "near=./data/near.txt"))
    (tmp_path / "far").unlink()
    assert own_service.loaded(row).block == (7 + 4 + 8).to_bytes(8, "little")
    assert row.own is not None
    assert dict(row.own.arguments) == {"far": "outside-0/far", "near": "./data/near.txt"}


def test_a_service_that_changed_is_in_another_parcel(tmp_path: Path, folder: Path) -> None:
    hashes = set()
    for text in ("SIZE = 7\n", "SIZE = 8\n", "SIZE = 7\n"):
        (folder / "names.py").write_text(text)
        hashes.add(
            deployment.pack(tmp_path, None, [own_files.carried(chosen(folder).own[0])]).sha256
        )
    assert len(hashes) == 2
    assert deployment.pack(tmp_path, None).sha256 not in hashes


def test_a_file_that_changed_after_its_start_is_refused(tmp_path: Path, folder: Path) -> None:
    spec = chosen(folder)
    there, row = deployed(tmp_path, spec)
    (there / "services/mine/names.py").write_text("SIZE = 8\n")
    with pytest.raises(BadInputError, match="has changed since the run began"):
        own_service.loaded(row)
    (folder / "names.py").write_text("SIZE = 8\n")
    with pytest.raises(BadInputError, match="has changed since the run began"):
        own_files.carried(spec.own[0])


def test_a_service_in_c_comes_with_its_python_file_and_headers(
    tmp_path: Path, folder: Path
) -> None:
    (folder / "mine.c").write_text("/* */\n")
    (folder / "mine.h").write_text("/* */\n")
    there, row = deployed(tmp_path, chosen(folder, name="mine.c"))
    names = {each.name for each in (there / "services/minec").iterdir()}
    assert {"mine.c", "mine.h", "mine.py", "names.py"} <= names
    assert row.own is not None and row.own.c == f"{there}/services/minec/mine.c"
    assert own_service.loaded(row).service.name == "mine"
    assert own_files.options(row)[:2] == ["--service", row.own.c]


def test_a_machine_that_differs_gets_the_options_of_its_files(folder: Path) -> None:
    (row,) = own_options.rows([folder / "mine.py"], ["near=names.py"], unchecked=True)
    given = own_files.options(own_files.carried(row).at("/there"))
    assert given[:3] == ["--service", "/there/services/mine/mine.py", "--unchecked"]
    assert given[3:] == [
        *("--service-arg", "near=names.py"),
        *("--service-arg", "far=outside-0/far"),
    ]


def seat(number: int) -> Seat:
    return Seat(host="h", nic="eth1", address=f"10.0.0.{number}/24")


def test_each_machine_has_the_paths_of_its_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = flow.rewired(chosen(folder))
    (row,) = spec.own
    carried = own_files.carried(row)
    station: Any = None
    tg = Place(station, seat(2), 1, own=(carried.at("/tg"),))
    assert tg.records("mine") == "/tg/services/mine.records" and tg.records("echo") is None
    words = generator.asker(spec.workload, "mine", tg.records("mine"))
    assert words[:2] == ["--records", "/tg/services/mine.records"]
    order = Order.model_construct(
        spec=spec.model_copy(update={"own": (carried.at("/sut"),)}),
        point=Point(),
        rung=spec.rungs[0].rung,
        service="mine",
        topology=wire(),
        nic="eth1",
        address="10.0.0.1/24",
        take="af_packet",
    )
    assert services.find("mine") == row  # the controller's paths stay
    said = order.model_dump_json(by_alias=True)
    monkeypatch.setattr(services, "_OWN", {})  # the server's machine, which knows none
    assert Order.model_validate_json(said).service == "mine"
    found = services.find("mine").own
    assert found is not None and found.path == "/sut/services/mine/mine.py"


def wire() -> Nic:
    return Nic(
        sut_netns=None, tg_netns=None, sut_addr="10.0.0.1", tg_addr="10.0.0.2",
        subnet="10.0.0.0/24", sut_iface="a", tg_iface="b", sut_cpu=0, tg_cpu=1,
        control_cpus=(0,), placement="x",
    )  # fmt: skip


def test_an_agent_asks_the_corpus_of_the_deployed_file(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, row = deployed(tmp_path, chosen(folder))
    (folder / "mine.py").unlink()
    monkeypatch.setattr(services, "_OWN", {})
    asked: list[Any] = []
    monkeypatch.setattr(operations, "quick_corpus", lambda *given: asked.append(given))
    agent: Any = type("Agent", (), {"seen": {}, "cores": type("Cores", (), {})()})()
    for name in ("sut", "tg", "switch", "vmm", "note"):
        setattr(agent.cores, name, ())
    operations.OPERATIONS["hello"](agent, own=[row.model_dump(mode="json")])
    ask = operations.OPERATIONS["corpus"]
    ask(agent, service="mine", addr="10.0.0.1", port=7, most=UDP_BYTES_MAX)
    ask(agent, service=services.FIRST, addr="10.0.0.1", port=7, most=None)
    (loaded, *_, most), (words, *_) = asked
    assert isinstance(loaded, Loaded) and loaded.service.name == "mine" and most == UDP_BYTES_MAX
    assert words == services.find(services.FIRST).corpus


def test_its_spec_is_read_again_without_its_files(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = flow.rewired(chosen(folder)).model_dump_json()
    for each in folder.rglob("*.*"):
        each.unlink()
    monkeypatch.setattr(services, "_OWN", {})
    assert Spec.model_validate_json(text).model_dump_json() == text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"spec": "none"}, "no such spec"),
        ({"rungs": "memcached"}, "no row of smoke can serve it"),
        ({"generators": 9}, "--generators 9: give 1 to 4"),
    ],
)
def test_bad_words_are_one_line(folder: Path, words: dict[str, Any], said: str) -> None:
    given = {"spec": "smoke", "rungs": None, "rounds": 1, "out": folder / "out", "take": None}
    options = command.Options(**{**given, "generators": 1, "quiet": True, **words})
    rows = own_options.rows([folder / "mine.py"])
    with pytest.raises(BadInputError, match=said):
        command.run("rehearse", None, options, rows)
    assert not (folder / "out").exists()
