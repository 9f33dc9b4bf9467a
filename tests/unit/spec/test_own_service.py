"""A user's service in a spec: its row, the rows that serve it, and what others make of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nearmetal.bench import programs, spec_path
from nearmetal.dut.command import Launch
from nearmetal.dut.host import command
from nearmetal.errors import BadInputError
from nearmetal.paths import source_root
from nearmetal.service.load import Loaded, load
from nearmetal.spec import own_service, rungs, services
from nearmetal.spec.experiment import Spec, memory_bytes, needed_bytes
from nearmetal.spec.experiment import load as load_spec
from nearmetal.spec.services import ServiceRow
from nearmetal.trial import generator

NAME = "mine"
TEXT = """
from nearmetal.service import *
class S(State):
    hits = i64()
    level = i64()
    many = array(u8, 50_000_000)
service = Service("mine", port=7000, state=S, counters=("hits",), gauges=("level",),
                  drops=("no",), id=Id(0, 0), request_bytes_min=2)
def init(state, args):
    state.hits = args.integer("n", 1)
def answer(request, reply, state, source, now_ns):
    return copy(reply, 0, request, 0, len(request))
def requests():
    return [Ask(b"abcd", unchecked=((2, 4),)), b"efgh"]
"""


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test's services are known to this test only."""
    monkeypatch.setattr(services, "_OWN", {})
    yield


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    path = tmp_path / "mine.py"
    path.write_text(TEXT)
    return load(path, {"n": "5"})


@pytest.fixture
def row(loaded: Loaded) -> ServiceRow:
    (made,) = own_service.read([loaded.finder.file], loaded.arguments)
    return made


def quick(*rows: ServiceRow, only: str | None = None) -> Spec:
    return load_spec(spec_path("quick"), only, rows)


def served(spec: Spec) -> dict[str, tuple[str, ...]]:
    return {row.rung.name: row.services for row in spec.rungs}


def test_its_row_has_the_words_of_its_file(loaded: Loaded, row: ServiceRow) -> None:
    assert services.find(NAME) == row
    assert (row.name, row.counters, row.load) == (NAME, ("level", "hits"), "replay")
    assert row.drops == ("no", *loaded.service.drop_words[1:])
    assert not row.stores and row.twin is not None
    assert row.own is not None and row.own.hashes == loaded.hashes
    assert row.colour not in {each.colour for each in services.SERVICES}


@pytest.mark.parametrize("name", services.NAMES)
def test_a_name_of_the_table_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(TEXT.replace('"mine"', f'"{name}"'))
    with pytest.raises(BadInputError, match=rf"mine.py: nearmetal has a service '{name}' of its"):
        own_service.read([path], {})


def test_two_of_one_name_are_refused(loaded: Loaded) -> None:
    path = loaded.finder.file
    with pytest.raises(BadInputError, match=r"mine.py: two services are named 'mine'; rename one"):
        own_service.read([path, path], {})


def test_a_service_in_c_follows_its_python_file(loaded: Loaded) -> None:
    path = loaded.finder.file.with_suffix(".c")
    with pytest.raises(BadInputError, match=r"mine.c: cannot be read: No such file"):
        own_service.read([path], {})
    path.write_text("/* */\n")
    (row,) = own_service.read([path], {"n": "5"})
    assert (row.name, row.drops, row.counters) == (f"{NAME}c", ("no",), ("level", "hits"))
    assert row.own is not None and set(row.own.hashes) == {"mine.py", "mine.c"}
    rows = served(quick(row))
    assert rows["host-sock"] == (row.name,) and "host-py" not in rows
    loaded.finder.file.rename(path.with_name("other.py"))
    with pytest.raises(BadInputError, match=r"mine.c: a service in C needs mine.py beside it"):
        own_service.read([path], {})


def test_rows_that_are_ours_serve_it_and_null_responders_stay(row: ServiceRow) -> None:
    before = load_spec(spec_path("quick"))
    spec = quick(row)
    assert {row.rung.name for row in before.rungs} - {row.rung.name for row in spec.rungs} == {
        rungs.find("memcached").name
    }
    for each in spec.rungs:
        assert each.services == ((NAME,) if each.rung.uses else each.rung.services)
    own = [each for each in programs(spec) if each.endswith(f"-{NAME}")]
    assert own == sorted(
        f"nm-{'' if row.rung.place == 'host' else f'{row.rung.place}-'}{row.rung.datapath}-{NAME}"
        for row in spec.rungs
        if row.rung.uses is not None and not row.rung.uses.is_python
    )
    assert [row.rounds for row in spec.rungs] == [
        row.rounds for row in before.rungs if row.rung.name != rungs.find("memcached").name
    ]
    for each in spec.rungs:
        assert memory_bytes(spec, each.rung.name) >= 2 * 50_000_000


def test_rows_that_name_a_service_keep_it(row: ServiceRow) -> None:
    spec = quick(row, only="host-mmsg,host-mmsg:kv,host-sock:echo,ceiling,memcached")
    assert served(spec) == {
        "host-mmsg": (NAME, services.FIRST),
        "host-sock": ("echo",),
        "ceiling": ("echo",),
    }
    assert memory_bytes(spec, "host-mmsg") >= 2 * needed_bytes(spec.workload, "host-mmsg")


def test_a_spec_names_the_file(loaded: Loaded, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    rows = 'rungs = ["host-sock", "host-mmsg:mine", { rung = "ukp-netdev", services = ["kv"] }]'
    path.write_text(f'service = "mine.py"\nservice_args = {{ n = 7 }}\n{rows}\n')
    spec = load_spec(path)
    (row,) = spec.own
    assert row.own is not None and row.own.arguments == (("n", "7"),)
    assert served(spec) == {"host-sock": (NAME,), "host-mmsg": (NAME,), "ukp-netdev": ("kv",)}
    path.write_text(f'service = "none.py"\n{rows}\n')
    with pytest.raises(BadInputError, match=r"mine.toml: service: .*none.py"):
        load_spec(path)
    path.write_text(f"service = 7\n{rows}\n")
    with pytest.raises(BadInputError, match=r"mine.toml: service: "):
        load_spec(path)


def test_a_spec_without_a_row_that_can_serve_it_is_refused(row: ServiceRow) -> None:
    with pytest.raises(BadInputError, match="no row of quick can serve it"):
        quick(row, only="memcached,testpmd")


def test_a_spec_that_is_read_again_needs_no_file(
    loaded: Loaded, row: ServiceRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = quick(row).model_dump_json()
    loaded.finder.file.unlink()
    monkeypatch.setattr(services, "_OWN", {})
    again = Spec.model_validate_json(text)
    assert again.model_dump_json() == text
    assert services.find(NAME).counters == ("level", "hits")


def test_a_spec_of_the_tables_services_has_none() -> None:
    assert load_spec(spec_path("quick")).own == ()
    with pytest.raises(BadInputError, match="unknown service 'mine'"):
        services.find(NAME)


def test_the_generator_asks_its_records(row: ServiceRow, tmp_path: Path) -> None:
    row = own_service.asking(row, tmp_path / "records")
    assert row.own is not None and row.own.load is not None
    assert (row.own.load.requests, row.own.load.unchecked_bytes) == (2, 1)
    assert row.own.load.request_bytes == row.own.load.reply_bytes == (4, 4)
    spec = load_spec(spec_path("quick"))
    words = generator.arguments(spec.workload, 128, NAME, warmup_s=1, measured_s=1)
    assert words[:4] == ["--records", str(tmp_path / "records"), "--zipf", "0.99"]
    assert "--keys" not in words and "--stamp" not in words
    assert Path(words[1]).is_file()


def test_host_py_runs_the_file_with_its_arguments(loaded: Loaded, row: ServiceRow) -> None:
    spec = quick(row)
    (rung,) = (each.rung for each in spec.rungs if each.rung.uses and each.rung.uses.is_python)
    launch = Launch(rung, NAME, {}, None, "127.0.0.1:7000", 1 << 26)
    argv = command(launch).argv
    assert argv[:7] == (
        *(sys.executable, "-m", services.find(services.FIRST).python, "--service"),
        *(str(loaded.finder.file), "--service-arg", "n=5"),
    )


def test_its_corpus_is_that_of_the_file_that_the_run_began_with(
    loaded: Loaded, row: ServiceRow
) -> None:
    again = own_service.corpus(row)
    assert isinstance(again, Loaded) and again.service.name == NAME
    loaded.finder.file.write_text(TEXT + "\n")
    with pytest.raises(BadInputError, match="has changed since the run began"):
        own_service.corpus(row)
    assert own_service.corpus(services.find(services.FIRST)) == services.find(services.FIRST).corpus


def test_the_examples_have_names_of_their_own() -> None:
    for path in (source_root() / "examples").glob("*.py"):
        (row,) = own_service.read([path], {})
        assert row.name == path.stem
