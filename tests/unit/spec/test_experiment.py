"""Spec files: their resolved form, and one clear line for every mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearmetal import bench
from nearmetal.commands import load
from nearmetal.errors import BadInputError
from nearmetal.paths import source_root
from nearmetal.samples import Point
from nearmetal.spec import experiment
from nearmetal.spec.rungs import RUNGS, find
from nearmetal.spec.window import everywhere
from nearmetal.trial import generator

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
    'rungs = ["moon-*"]': "rungs: no rung matches moon-*",
    'rungs = ["memcache*:echo"]': "rungs: no rung that matches memcache* has a service 'echo'",
    'rungs = ["host-*", "host-s*"]': "rungs: host-sock is named twice",
    'rungs = [{ rung = "host-py", round = 1 }]': "rungs.0.round: unknown key; did you mean rounds?",
    'rungs = [{ rung = "host-py", services = ["kw"] }]': "rungs.0.services.0: must be 'kv' or",
    ROWS + "[workload]\nkey_bytes = 251": "workload.key_bytes: must be <= 250 (got 251)",
    ROWS + "[workload]\nget = 0.5": "workload: get + set + miss must be 1",
    ROWS + "[workload]\nkeyz = 1": "workload.keyz: unknown key; did you mean keys?",
    "memory_bytes = 2_000_000\n" + ROWS: "memory_bytes: too small: the key space needs ",
    "memory_bytes = 3\n" + ROWS: "memory_bytes: must be >= ",
    "rungs = [": "not TOML: ",
    ROWS + "[sweep]": "sweep: needs exactly one axis of keys, window, rate, generators, edition",
    ROWS + "[sweep]\nkeys = [1]\nwindow = [1]": "sweep: needs exactly one axis of keys, window,",
    ROWS + "[sweep]\nwindow = [4, 0]": "sweep.window.1: must be >= 1 (got 0)",
    ROWS + "[sweep]\nwindow = [4, 4]": "sweep: window names window 4 twice",
    ROWS + "[sweep]\ngenerators = [17]": "sweep.generators.0: must be <= 16 (got 17)",
    ROWS
    + '[sweep]\nedition = ["nm-laod"]': "sweep.edition.0: unknown generator 'nm-laod'; did you",
    ROWS + "[sweep]\nwindwo = [4]": "sweep.windwo: unknown key; did you mean window?",
    ROWS + '[sweep]\nrate = ["80"]': "sweep: rate '80': give a share of the peak, e.g. \"80%\"",
    ROWS
    + '[sweep]\nrate = ["900%"]': "sweep: rate '900%': give a share of the peak, e.g. \"80%\", at",
    ROWS + "[sweep]\nrate = [-1]": "sweep: rate -1: requests per second, at least 1",
    ROWS + "[sweep]\nrate = [true]": "sweep.rate.0",
    ROWS + '[sweep]\nkeys = [1]\narrivals = "poisson"': "sweep: arrivals belong to a rate sweep",
    "memory_bytes = 9_000_000\n" + ROWS + "[sweep]\nkeys = [10, 1_000_000]": (
        "memory_bytes: too small: the key space needs "
    ),
}


def test_a_pattern_names_all_that_are_so_called(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'rungs = [{ rung = "host-mmsg", rounds = 9 }, "host-mmsg-p*", "guest-*-tap:kv"]\n'
    )
    rows = [(row.rung.name, row.services, row.rounds) for row in experiment.load(path).rungs]
    assert rows[0] == ("host-mmsg", ("kv", "echo"), 9)
    assert [name for name, _, _ in rows[1:]][:2] == ["host-mmsg-plain", "guest-sock-tap"]
    assert all(services == ("kv",) for _, services, _ in rows[2:])
    chosen = experiment.load(path, "host-mmsg-p*:echo,host-mmsg:echo").rungs
    assert [(row.rung.name, row.services) for row in chosen] == [
        ("host-mmsg-plain", ("echo",)),
        ("host-mmsg", ("echo",)),
    ]


@pytest.mark.parametrize("text", MISTAKES, ids=lambda text: text.replace("\n", " ")[:40])
def test_a_mistake_is_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(BadInputError) as caught:
        experiment.load(path)
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
        experiment.load(source_root() / "specs" / "quick.toml", only)


def test_missing_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot read the spec: No such file"):
        experiment.load(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInputError, match="not UTF-8"):
        experiment.load(tmp_path / "binary.toml")


@pytest.mark.parametrize(
    "path", sorted((source_root() / "specs").glob("*.toml")), ids=lambda p: p.stem
)
def test_every_spec_of_ours_resolves(path: Path) -> None:
    found = experiment.load(path)
    assert found.name == path.stem
    assert experiment.Spec.model_validate_json(found.model_dump_json()) == found


def test_standard_is_the_default_workload() -> None:
    assert experiment.load(source_root() / "specs" / "quick.toml").workload == experiment.Workload()


def test_rungs_option_selects() -> None:
    quick = source_root() / "specs" / "quick.toml"
    rows = experiment.load(quick, "host-py, host-mmsg:echo,limit-veth").rungs
    assert [(row.rung.name, row.services, row.rounds) for row in rows] == [
        ("host-py", ("kv",), 1),  # the spec's own number
        ("host-mmsg", ("echo",), 3),
        ("limit-veth", ("echo",), 3),
    ]
    both = experiment.load(quick, "host-mmsg:echo,host-mmsg:kv").rungs
    assert [row.services for row in both] == [("echo", "kv")]


def test_uniform_and_a_row_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'rounds = 5\nrungs = ["host-sock:kv", { rung = "host-py", rounds = 1 }]\n'
        '[workload]\nzipf = "uniform"\n'
    )
    found = experiment.load(path)
    assert found.workload.zipf is None
    assert [(row.services, row.rounds) for row in found.rungs] == [
        (("kv",), 5),
        (("kv", "echo"), 1),
    ]


def test_memory_is_twice_what_the_keys_need() -> None:
    quick = experiment.load(source_root() / "specs" / "quick.toml")
    items = 1_000_000 * (16 + 16 + 32)
    ours = experiment.memory_bytes(quick, "host-mmsg")
    assert 2 * items < ours < 2.3 * items
    assert experiment.memory_bytes(quick, "memcached") > ours  # its items are larger
    fixed = quick.model_copy(update={"memory_bytes": 7 << 20})
    assert experiment.memory_bytes(fixed, "host-py") == 7 << 20


SWEEPS = {
    "keys = [1_000, 16_000_000]": ("keys", [Point(keys=1_000), Point(keys=16_000_000)]),
    "window = [64, 1]": ("window", [Point(window=64), Point(window=1)]),
    "rate = [1e5, 7]": ("rate", [Point(rate_per_s=100_000), Point(rate_per_s=7)]),
    "generators = [1, 2]": ("generators", [Point(generators=1), Point(generators=2)]),
    'rate = ["50%", 7, "95.5 %"]': (
        "rate",
        [Point(), Point(peak_share=0.5), Point(rate_per_s=7), Point(peak_share=0.955)],
    ),
}


@pytest.mark.parametrize("text", SWEEPS)
def test_a_sweep_is_its_points(text: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f"{ROWS}[sweep]\n{text}\n")
    found = experiment.load(path)
    assert found.sweep is not None
    assert (found.sweep.axis, list(found.sweep.points)) == SWEEPS[text]
    assert experiment.points(found) == found.sweep.points
    assert experiment.Spec.model_validate_json(found.model_dump_json()) == found


def test_without_a_sweep_there_is_one_point() -> None:
    quick = experiment.load(source_root() / "specs" / "quick.toml")
    assert experiment.points(quick) == (Point(),)
    assert experiment.at(quick, Point()) == quick


def test_memory_follows_the_keys_of_a_point() -> None:
    quick = experiment.load(source_root() / "specs" / "quick.toml")
    small, large = (experiment.at(quick, Point(keys=keys)) for keys in (100_000, 16_000_000))
    assert (small.workload.keys, large.workload.keys) == (100_000, 16_000_000)
    assert experiment.memory_bytes(large, "host-mmsg") == pytest.approx(
        160 * experiment.memory_bytes(small, "host-mmsg"), rel=1e-3
    )
    assert experiment.at(quick, Point(window=7)).window == everywhere(7)


def test_rungs_are_unique_and_found() -> None:
    names = [rung.name for rung in RUNGS]
    assert len(set(names)) == len(names)
    assert all(find(name).name == name for name in names)


def test_a_kernel_for_guests(tmp_path: Path) -> None:
    path = tmp_path / "spec.toml"
    path.write_text('rungs = ["guest-sock", "host-sock"]\n[guest]\nkernel = "linux"\n')
    with pytest.raises(BadInputError, match=r"guest\.kernel: .*linux: no such kernel"):
        experiment.load(path)
    (tmp_path / "linux").write_bytes(b"\x7fELF" + bytes(2000))
    with pytest.raises(BadInputError, match=r"guest\.kernel: .*bzImage"):
        experiment.load(path)


def test_the_paper_s_workload_is_the_paper_s_frames() -> None:
    paper = experiment.load(source_root() / "specs" / "paper.toml")
    names = [row.rung.name for row in paper.rungs]
    assert names[:8] == [
        "host-sock", "host-mmsg-plain", "guest-sock", "guest-mmsg", "guest-dpdk", "uk-lwip",
        "uk-netdev", "uk-dpdk",
    ]  # fmt: skip
    assert paper.workload.frame_bytes("echo") == (64, 64)
    assert paper.workload.frame_bytes("kv") == (64, 85)
    assert load._workload("paper") == paper.workload
    kv, echo = (
        generator.arguments(paper.workload, 128, service, warmup_s=1, measured_s=2)
        for service in ("kv", "echo")
    )
    assert "--stamp" in echo and "--stamp" not in kv
    assert kv[kv.index("--source-port") + 1] == "9000" and "--uniform" in kv
    assert {"nm-uk-dpdk-kv", "nm-uk-dpdk-echo"} <= set(bench.programs(paper))
    seconds, _ = bench.estimate(paper)
    assert seconds < 15 * 60


BAD_PORTS_AND_KEYS = {
    "source_port = 0": "source_port: must be >= 1",
    "port = 70000": "port: must be <= 65535",
    "source_port = 65530": "16 flows from there on end beyond 65535",
    "key_bytes = 7": "key_bytes: must be >= 8",
    "value_bytes = 7": "value_bytes: must be >= 8",
    "key_bytes = 8\nkeys = 1_000_001": "key_bytes = 8 names 1,000,000 keys",
    "key_bytes = 8\nkeys = 600_000\nget = 0.9\nset = 0\nmiss = 0.1": "and as many to miss",
    'stamp = "x"': "stamp: must be a valid boolean",
    "classes = [{ value_bytes = 8, share = 0.5 }]": "classes: their shares must add up to 1",
    "classes = [{ value_bytes = 7, share = 1 }]": "value_bytes: must be >= 8",
    "value_bytes = 32\nclasses = [{ value_bytes = 9, share = 1 }]": "the classes have the lengths",
}


@pytest.mark.parametrize("text", BAD_PORTS_AND_KEYS)
def test_ports_and_short_keys_are_checked(text: str, tmp_path: Path) -> None:
    path = tmp_path / "spec.toml"
    path.write_text(f'rungs = ["host-sock"]\n[workload]\n{text}\n')
    with pytest.raises(BadInputError) as told:
        experiment.load(path)
    assert BAD_PORTS_AND_KEYS[text] in str(told.value)
    assert "\n" not in str(told.value)


def test_values_have_classes_of_lengths(tmp_path: Path) -> None:
    path = tmp_path / "spec.toml"
    classes = "[{ value_bytes = 32, share = 0.75 }, { value_bytes = 1_000, share = 0.25 }]"
    path.write_text(f'rungs = ["host-sock"]\n[workload]\nkeys = 1_000\nclasses = {classes}\n')
    spec = experiment.load(path)
    assert spec.workload.value_bytes == 1000  # the longest
    assert experiment.Spec.model_validate_json(spec.model_dump_json()) == spec
    asked = generator.arguments(spec.workload, 128, "kv", warmup_s=1, measured_s=2)
    assert asked[asked.index("--value-bytes") + 1] == "32:0.75,1000:0.25"
    short, long = (
        experiment.needed_bytes(spec.workload.model_copy(update=changed), "host-sock")
        for changed in ({"classes": (), "value_bytes": 32}, {"classes": ()})
    )
    mean = (3 * short + long) / 4
    assert abs(experiment.needed_bytes(spec.workload, "host-sock") - mean) <= 2


def test_rounds_of_the_command_line_leave_a_row_its_own() -> None:
    quick = experiment.load(source_root() / "specs" / "quick.toml")
    changed = experiment.with_rounds(quick, 20)
    rounds = {row.rung.name: row.rounds for row in changed.rungs}
    assert rounds.pop("host-py") == 1  # the spec's own number
    assert set(rounds.values()) == {20} == {changed.rounds}
    assert experiment.with_rounds(quick, None) == quick
