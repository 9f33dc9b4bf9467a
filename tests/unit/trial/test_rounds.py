"""The order of trials, skipped rows, and the conditions under which a trial fails."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from nearmetal.build.programs import Build, Program
from nearmetal.dut import available
from nearmetal.errors import CannotRunError, NearmetalError
from nearmetal.machine.processes.process import ChildError
from nearmetal.samples import Accelerator, Counts, Point, Sample, fault_of, read
from nearmetal.spec.experiment import Spec, SpecRung, Workload
from nearmetal.spec.programs import program_of
from nearmetal.spec.rungs import Service, find
from nearmetal.spec.sweep import Sweep
from nearmetal.topology.bring_up import Topologies
from nearmetal.topology.wires.loopback import Loopback
from nearmetal.trial import rounds as run
from nearmetal.trial.bed import Bed, Trial
from nearmetal.trial.trial import OneMachine, failed_sample

PROGRAMS = (
    "nm-load", "memcached", "python", "nm-null-xdp",
    "nm-sock-kv", "nm-sock-echo", "nm-mmsg-kv", "nm-mmsg-echo",
    "nm-load-vhost", "nm-relay", "nm-dpdk-kv", "nm-dpdk-echo", "dpdk-testpmd", "nm-null-vhost",
    "nm-tender", "nm-ukp-netdev-kv", "nm-ukp-netdev-echo",
)  # fmt: skip


def spec(**rounds: int) -> Spec:
    """Return a spec of rows by name, `_` for `-`, with their rounds."""
    names = {name.replace("_", "-"): number for name, number in rounds.items()}
    rungs = tuple(
        SpecRung(rung=find(name), services=find(name).services, rounds=number)
        for name, number in names.items()
    )
    return Spec(name="made", workload=Workload(keys=1000), rungs=rungs)


def built(*without: str) -> Build:
    programs = {
        name: Program(path=f"/nowhere/{name}", image_bytes=1, sha256="0")
        for name in PROGRAMS
        if name not in without
    }
    missing = {name: f"no {name} here" for name in without}
    return Build(
        compiler="", flags="", isa="", commit=None, dirty=False, folder="", programs=programs,
        missing=missing,
    )  # fmt: skip


def loopback() -> Topologies:
    lo = Loopback(
        sut_netns=None, tg_netns=None, sut_addr="127.0.0.1", tg_addr="127.0.0.1",
        subnet="127.0.0.0/8", sut_iface="lo", tg_iface="lo", sut_cpu=0, tg_cpu=0,
        control_cpus=(0,), placement="",
    )  # fmt: skip
    return Topologies(wires=(lo,))


class Told:
    """A Progress that records samples."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []

    def trial_started(self, rung: str, service: Service, number: int, of: int) -> None:
        assert 1 <= number <= of

    def trial_second(self, rung: str, service: Service, event: object) -> None:
        raise AssertionError("these trials report no seconds")

    def trial_finished(self, sample: Sample) -> None:
        self.samples.append(sample)


def test_each_round_visits_every_row_once_in_an_order_of_its_own() -> None:
    made = spec(memcached=6, host_sock=6, host_mmsg=6, host_py=1)
    order = list(run.trials(made))
    rounds = [[t for t in order if t.round == number] for number in range(6)]
    assert [t for each in rounds for t in each] == order  # one round after the other
    rows = [{(t.rung.name, t.service) for t in each} for each in rounds]
    assert [len(each) for each in rounds] == [7, 5, 5, 5, 5, 5]
    assert [len(each) for each in rows] == [7, 5, 5, 5, 5, 5]
    assert len({tuple((t.rung.name, t.service) for t in each) for each in rounds[1:]}) > 1
    assert order == list(run.trials(made))


PAIRED = {("host-sock", "kv"), ("host-sock", "echo"), ("host-mmsg", "kv")}


def visits(seed: int, rounds: int = 6) -> list[tuple[str, Service, int, bool]]:
    made = spec(memcached=rounds, host_sock=rounds, host_mmsg=rounds)
    order = run.trials(made.model_copy(update={"seed": seed}), PAIRED)
    return [(t.rung.name, t.service, t.round, t.against) for t in order]


def test_a_pair_is_two_visits_next_to_each_other() -> None:
    order = visits(1)
    assert len(order) == 6 * (3 * 2 + 2)
    alone = [each for each in order if each[:2] not in PAIRED]
    assert len(alone) == 6 * 2 and not any(is_other for *_, is_other in alone)
    rest = [each for each in order if each[:2] in PAIRED]
    for first, second in zip(rest[::2], rest[1::2], strict=True):
        assert first[:3] == second[:3] and first[3] != second[3]
        assert order.index(second) == order.index(first) + 1


def test_who_of_a_pair_is_first_changes_from_round_to_round() -> None:
    for row in PAIRED:
        firsts = [is_other for *name, _, is_other in visits(1) if tuple(name) == row][::2]
        assert firsts in ([True, False] * 3, [False, True] * 3)
    assert visits(1) == visits(1)
    started = {tuple(o for *_, n, o in visits(seed) if n == 0) for seed in range(9)}
    assert len(started) > 1  # the seed decides which is first in the first round


def test_another_tree_leaves_the_order_of_rows_as_it_was() -> None:
    made = spec(memcached=3, host_sock=3, host_mmsg=3)
    assert [t for t in run.trials(made, PAIRED) if not t.against] == list(run.trials(made))


def test_points_are_visited_in_every_round_like_rows() -> None:
    points = (Point(keys=10), Point(keys=20))
    made = spec(host_sock=3).model_copy(update={"sweep": Sweep(axis="keys", points=points)})
    order = list(run.trials(made))
    for number in range(3):
        visits = [(t.service, t.point) for t in order[number * 4 : number * 4 + 4]]
        assert set(visits) == {(service, at) for service in ("kv", "echo") for at in points}
        assert {t.round for t in order[number * 4 : number * 4 + 4]} == {number}


def test_shares_of_the_peak_come_after_the_rounds_that_measure_it() -> None:
    points = (Point(), Point(peak_share=0.5), Point(rate_per_s=7.0), Point(peak_share=0.8))
    made = spec(memcached=2).model_copy(update={"sweep": Sweep(axis="rate", points=points)})
    order = list(run.trials(made))
    assert {t.point for t in order[:4]} == {points[0], points[2]}
    assert {t.point for t in order[4:]} == {points[1], points[3]}
    assert [t.round for t in order] == [0, 0, 1, 1, 0, 0, 1, 1]


def open_loop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wrong_round: int) -> list[Sample]:
    """Run a share of the peak, with a closed loop of 90, 100 and 110 answers per second."""

    def measure(_: OneMachine, trial: Trial, bed: Bed, second: object) -> Sample:
        failed = trial.round == wrong_round and trial.point == Point()
        counts = dict.fromkeys(Counts.model_fields, 0)
        counts |= {"duration_ns": 1_000_000_000, "answered": 90 + 10 * trial.round}
        return Sample(
            rung=trial.rung.name, service=trial.service, round=trial.round, started_utc="",
            status="failed" if failed else "ok", counts=Counts(**counts), point=trial.point,
        )  # fmt: skip

    monkeypatch.setattr(OneMachine, "check", lambda *_: None)
    monkeypatch.setattr(OneMachine, "measure", measure)
    sweep = Sweep(axis="rate", points=(Point(), Point(peak_share=0.8)))
    made = spec(memcached=3).model_copy(update={"sweep": sweep})
    told = Told()
    run.run(made, built(), loopback(), tmp_path, told)
    return told.samples


def test_a_share_is_of_the_median_closed_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = open_loop(monkeypatch, tmp_path, wrong_round=-1)
    assert [s.point for s in taken[3:]] == [Point(peak_share=0.8, rate_per_s=80.0)] * 3


def test_without_a_closed_loop_there_is_no_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = open_loop(monkeypatch, tmp_path, wrong_round=2)
    assert [s.status for s in taken] == ["ok", "ok", "failed", "failed"]
    assert taken[-1].point == Point(peak_share=0.8)
    assert "its closed loop failed" in taken[-1].reason


def test_the_quick_corpus_is_asked_once_and_stands_for_every_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def check(_: OneMachine, trial: Trial, bed: Bed) -> None:
        asked.append(trial.service)
        raise NearmetalError("quick corpus: get_missing")

    monkeypatch.setattr(OneMachine, "check", check)
    sweep = Sweep(axis="keys", points=(Point(keys=1), Point(keys=2)))
    made = spec(memcached=2).model_copy(update={"sweep": sweep})
    told = Told()
    run.run(made, built(), loopback(), tmp_path, told)
    assert asked == ["kv"]
    assert {s.point for s in told.samples} == set(sweep.points)
    assert {s.reason for s in told.samples} == {"quick corpus: get_missing"}


def test_skipped_with_the_reason() -> None:
    made = spec(memcached=1, host_sock=1, limit_veth=1)
    reasons = available.skipped(made, built("memcached", "nm-null-xdp"), loopback())
    assert set(reasons) == {"memcached", "limit-veth"}
    assert reasons["memcached"] == "no memcached here"
    assert "lo" in reasons["limit-veth"]


def test_without_dpdk_its_rows_say_so_and_the_others_stay() -> None:
    made = spec(host_sock=1, host_dpdk=1, testpmd=1, ceiling=1)
    reasons = available.skipped(
        made, built("nm-dpdk-kv", "nm-dpdk-echo", "dpdk-testpmd"), loopback()
    )
    assert reasons == {
        "host-dpdk": "no nm-dpdk-kv here",
        "testpmd": "no dpdk-testpmd here",
    }


@pytest.mark.parametrize(
    ("without", "skipped"),
    [
        ("nm-load-vhost", {"host-dpdk", "ukp-netdev", "testpmd", "ceiling"}),
        ("nm-relay", {"host-dpdk", "ukp-netdev"}),  # the corpus is not run on reference rows
        ("nm-load", {"host-sock"}),
        ("nm-tender", {"ukp-netdev"}),
        ("nm-ukp-netdev-echo", {"ukp-netdev"}),
    ],
)
def test_a_wire_without_its_generator(without: str, skipped: set[str]) -> None:
    made = spec(host_sock=1, host_dpdk=1, ukp_netdev=1, testpmd=1, ceiling=1)
    reasons = available.skipped(made, built(without), loopback())
    assert set(reasons) == skipped
    assert set(reasons.values()) == {f"no {without} here"}


def test_nothing_without_the_generator(tmp_path: Path) -> None:
    with pytest.raises(CannotRunError, match="no nm-load here"):
        run.run(spec(host_sock=1), built("nm-load"), loopback(), tmp_path, Told())


def test_a_failure_is_the_rows_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(_: OneMachine, trial: Trial, bed: Bed) -> None:
        raise NearmetalError(f"{trial.service} does not start")

    monkeypatch.setattr(OneMachine, "check", check)
    told = Told()
    run.run(spec(host_sock=3), built(), loopback(), tmp_path, told)
    assert sorted((s.service, s.status, s.reason) for s in told.samples) == [
        ("echo", "failed", "echo does not start"),
        ("kv", "failed", "kv does not start"),
    ]
    assert list(read(tmp_path / "samples.jsonl")) == told.samples
    assert json.loads((tmp_path / "run.json").read_text())["partial"] is False


SAID, SILENT, WRONG = 10, 0, -1  # answers of a try; -1: all answers are wrong
ENDED = None  # the try raises


@pytest.mark.parametrize(
    ("tries", "status", "repeated", "reason"),
    [
        ([SAID], "ok", "", ""),
        ([SILENT, SAID], "ok", "no right answer to 10 requests", ""),
        ([SILENT, SILENT], "failed", "no right answer to 10 requests", "no right answer to 10 "),
        ([SILENT, ENDED], "failed", "", "it ended"),
        ([ENDED], "failed", "", "it ended"),
        ([WRONG], "failed", "", "10 wrong answers of 10"),
        ([SILENT, WRONG], "failed", "no right answer to 10 requests", "10 wrong answers of 10"),
    ],
)
def test_silence_is_tried_once_more_and_what_ends_or_is_wrong_is_not(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tries: list[int | None],
    status: str,
    repeated: str,
    reason: str,
) -> None:
    left = list(tries)

    def measure(_: OneMachine, trial: Trial, bed: Bed, second: object) -> Sample:
        answered = left.pop(0)
        if answered is None:
            raise ChildError("it ended")
        wrong = 10 if answered == WRONG else 0
        known = {"duration_ns": 1, "sent": 10, "answered": max(answered, 0), "wrong": wrong}
        counts = Counts(**dict.fromkeys(Counts.model_fields, 0) | known)
        counts = counts.model_copy(update={"lost": 10 - counts.answered - wrong})
        fault = fault_of(counts, None)
        return failed_sample(trial, fault, "").model_copy(
            update={"counts": counts, "status": "failed" if fault else "ok"}
        )

    monkeypatch.setattr(OneMachine, "check", lambda *_: None)
    monkeypatch.setattr(OneMachine, "measure", measure)
    told = Told()
    run.run(spec(memcached=1), built(), loopback(), tmp_path, told)
    (sample,) = told.samples
    assert left == [] and (sample.status, sample.repeated) == (status, repeated)
    assert sample.reason.startswith(reason)


def two_sided() -> Build:
    """Return a build beside another tree's, which has no nm-mmsg-echo."""
    other = built("nm-mmsg-echo")
    names = ("nm-sock-kv", "nm-sock-echo", "nm-mmsg-kv")
    theirs = {name: other.programs[name].model_copy(update={"path": "/other"}) for name in names}
    known = {"name": "0123abcd", "programs": theirs}
    return built().model_copy(update={"against": other.model_copy(update=known)})


def test_both_sides_are_checked_and_measured_each_with_its_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, Service, str]] = []

    def check(_: OneMachine, trial: Trial, bed: Bed) -> None:
        program = bed.build.programs[program_of(trial.rung, trial.service)]
        asked.append((trial.rung.name, trial.service, program.path))
        assert bed.build.programs["nm-load"].path == "/nowhere/nm-load"
        if (trial.service, program.path) == ("echo", "/other"):
            raise NearmetalError("quick corpus: too_long")

    def measure(_: OneMachine, trial: Trial, bed: Bed, second: object) -> Sample:
        name, service = trial.rung.name, trial.service
        program = bed.build.programs[program_of(trial.rung, service)]
        assert (name, service, program.path) in asked
        return Sample(rung=name, service=service, round=trial.round, status="ok", started_utc="")

    monkeypatch.setattr(OneMachine, "check", check)
    monkeypatch.setattr(OneMachine, "measure", measure)
    told = Told()
    run.run(spec(memcached=2, host_sock=2, host_mmsg=2), two_sided(), loopback(), tmp_path, told)
    counted = Counter((s.rung, s.service, s.against, s.status) for s in told.samples)
    assert counted == {
        ("memcached", "kv", None, "ok"): 2,
        ("host-sock", "kv", None, "ok"): 2,
        ("host-sock", "kv", "0123abcd", "ok"): 2,
        ("host-sock", "echo", None, "ok"): 2,  # independent of the other side
        ("host-sock", "echo", "0123abcd", "failed"): 1,
        ("host-mmsg", "kv", None, "ok"): 2,
        ("host-mmsg", "kv", "0123abcd", "ok"): 2,
        ("host-mmsg", "echo", None, "ok"): 2,
    }
    assert len(asked) == len(set(asked)) == 8  # once for each side of a row
    assert list(read(tmp_path / "samples.jsonl")) == told.samples
    unpaired = json.loads((tmp_path / "run.json").read_text())["unpaired"]
    assert unpaired["host-mmsg echo"] == "0123abcd: no nm-mmsg-echo here"
    assert set(unpaired) == {"host-mmsg echo", "memcached kv"}


def test_serial_lines_of_both_sides_do_not_mix(tmp_path: Path) -> None:
    top, tcg = loopback().wires[0], Accelerator(name="tcg", cpu="max")
    ours = Bed(spec(host_sock=1), two_sided(), top, tcg, tmp_path)
    trial = run.Trial(find("host-sock"), "kv", 0, Point(), against=True)
    assert run._of_the_other(ours, trial).consoles == tmp_path / "against"
    assert (tmp_path / "against").is_dir()


def test_samples_of_older_runs_are_ours(tmp_path: Path) -> None:
    known = {"rung": "host-sock", "service": "kv", "round": 0, "status": "ok", "started_utc": ""}
    (tmp_path / "samples.jsonl").write_text(json.dumps(known) + "\n")
    assert [each.against for each in read(tmp_path / "samples.jsonl")] == [None]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: other users get another reason")
def test_what_a_tap_device_wants_of_the_machine(tmp_path: Path) -> None:
    asked = {
        wire: find("guest-sock").model_copy(update={"wire": wire})
        for wire in ("vhost-user", "tap", "vhost-net")
    }
    why = {wire: available.wire_why_not(rung, tmp_path) for wire, rung in asked.items()}
    assert why["vhost-user"] is None
    assert "/dev/net/tun" in str(why["tap"])
    (tmp_path / "dev/net").mkdir(parents=True)
    (tmp_path / "dev/net/tun").touch()
    assert available.wire_why_not(asked["tap"], tmp_path) is None
    lacks = str(available.wire_why_not(asked["vhost-net"], tmp_path))
    assert "no /dev/vhost-net" in lacks and "modprobe vhost_net" in lacks
    (tmp_path / "dev/vhost-net").touch()
    assert available.wire_why_not(asked["vhost-net"], tmp_path) is None
