"""Spec files: what they resolve to, and one clear line for every mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearmetal import spec
from nearmetal.errors import BadInputError
from nearmetal.paths import source_root
from nearmetal.rungs import RUNGS, find

ROWS = 'rungs = ["host-py"]\n'

MISTAKES = {
    "windw = 1\n" + ROWS: "windw: unknown key; did you mean window?",
    "window = 0\n" + ROWS: "window: must be >= 1 (got 0)",
    'window = "many"\n' + ROWS: "window: must be a valid integer",
    "measured_s = 0\n" + ROWS: "measured_s: must be greater than 0",
    "": "rungs: missing",
    'rungs = ["host-pi"]': "rungs: unknown rung 'host-pi'; did you mean host-py? (known: ",
    'rungs = ["memcached:echo"]': "rungs: memcached has no service 'echo' (it has: kv)",
    'rungs = ["host-py", "host-py"]': "rungs: host-py is named twice",
    'rungs = [{ rung = "host-py", round = 1 }]': "rungs.0.round: unknown key; did you mean rounds?",
    'rungs = [{ rung = "host-py", services = ["kw"] }]': "rungs.0.services.0: must be 'kv' or",
    ROWS + "[workload]\nkey_bytes = 251": "workload.key_bytes: must be <= 250 (got 251)",
    ROWS + "[workload]\nget = 0.5": "workload: get + set + miss must be 1",
    ROWS + "[workload]\nkeyz = 1": "workload.keyz: unknown key; did you mean keys?",
    "memory_bytes = 2_000_000\n" + ROWS: "memory_bytes: too small: the key space needs ",
    "memory_bytes = 3\n" + ROWS: "memory_bytes: must be >= ",
    "rungs = [": "not TOML: ",
}


@pytest.mark.parametrize("text", MISTAKES, ids=lambda text: text.replace("\n", " ")[:40])
def test_a_mistake_is_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(BadInputError) as caught:
        spec.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: {MISTAKES[text]}")
    assert "\n" not in message
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("only", "says"),
    [
        ("nope", "--rungs: unknown rung 'nope'"),
        (",", "--rungs: names no rung"),
        ("host-py:x", "--rungs: host-py has no service 'x'"),
    ],
)
def test_rungs_option_mistakes(only: str, says: str) -> None:
    with pytest.raises(BadInputError, match=says):
        spec.load(source_root() / "specs" / "quick.toml", only)


def test_missing_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot read the spec: No such file"):
        spec.load(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInputError, match="not UTF-8"):
        spec.load(tmp_path / "binary.toml")


@pytest.mark.parametrize(
    "path", sorted((source_root() / "specs").glob("*.toml")), ids=lambda p: p.stem
)
def test_every_spec_of_ours_resolves(path: Path) -> None:
    found = spec.load(path)
    assert found.name == path.stem
    assert spec.Spec.model_validate_json(found.model_dump_json()) == found


def test_standard_is_the_default_workload() -> None:
    assert spec.load(source_root() / "specs" / "quick.toml").workload == spec.Workload()


def test_rungs_option_selects() -> None:
    quick = source_root() / "specs" / "quick.toml"
    rows = spec.load(quick, "host-py, host-mmsg:echo,limit-veth").rungs
    assert [(row.rung.name, row.services, row.rounds) for row in rows] == [
        ("host-py", ("kv",), 1),  # as the spec has it
        ("host-mmsg", ("echo",), 3),
        ("limit-veth", ("echo",), 3),
    ]
    both = spec.load(quick, "host-mmsg:echo,host-mmsg:kv").rungs
    assert [row.services for row in both] == [("echo", "kv")]


def test_uniform_and_a_row_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'rounds = 5\nrungs = ["host-sock:kv", { rung = "host-py", rounds = 1 }]\n'
        '[workload]\nzipf = "uniform"\n'
    )
    found = spec.load(path)
    assert found.workload.zipf is None
    assert [(row.services, row.rounds) for row in found.rungs] == [
        (("kv",), 5),
        (("kv", "echo"), 1),
    ]


def test_memory_is_twice_what_the_keys_need() -> None:
    quick = spec.load(source_root() / "specs" / "quick.toml")
    items = 1_000_000 * (16 + 16 + 32)
    ours = spec.memory_bytes(quick, "host-mmsg")
    assert 2 * items < ours < 2.3 * items
    assert spec.memory_bytes(quick, "memcached") > ours  # its items are larger
    fixed = quick.model_copy(update={"memory_bytes": 7 << 20})
    assert spec.memory_bytes(fixed, "host-py") == 7 << 20


def test_rungs_are_unique_and_found() -> None:
    names = [rung.name for rung in RUNGS]
    assert len(set(names)) == len(names)
    assert all(find(name).name == name for name in names)
