"""An early end of a run, and the files that it leaves."""

from __future__ import annotations

import json
import signal
from collections import Counter
from pathlib import Path

import pytest
from test_rounds import Told, built, loopback, spec

from nearmetal.errors import FullError, NearmetalError
from nearmetal.machine.processes.process import ChildError
from nearmetal.machine.processes.signals import Ended
from nearmetal.samples import Sample
from nearmetal.spec.experiment import SpecRung
from nearmetal.spec.rungs import find
from nearmetal.trial import rounds as run
from nearmetal.trial.bed import Bed, Trial
from nearmetal.trial.trial import OneMachine


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (Ended(signal.SIGINT), "interrupted"),
        (Ended(signal.SIGHUP), "ended by SIGHUP"),
        (Ended(signal.SIGRTMIN + 3), "ended by SIGRTMIN+3"),
    ],
    ids=repr,
)
def test_interrupted_keeps_what_there_is(
    end: KeyboardInterrupt, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(_: OneMachine, trial: Trial, bed: Bed) -> None:
        raise end

    monkeypatch.setattr(OneMachine, "check", check)
    with pytest.raises(KeyboardInterrupt):
        run.run(spec(host_sock=3), built(), loopback(), tmp_path, Told())
    state = json.loads((tmp_path / "run.json").read_text())
    assert state["partial"] is True and state["reason"] == reason


def test_a_failed_trial_says_when_it_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ["at its start"]

    def check(_: OneMachine, trial: Trial, bed: Bed) -> None:
        clock[0] = "at its end"
        raise NearmetalError("it does not start")

    monkeypatch.setattr(run, "now_utc", lambda: clock[0])
    monkeypatch.setattr(OneMachine, "check", check)
    told = Told()
    run.run(spec(host_sock=1), built(), loopback(), tmp_path, told)
    assert told.samples[0].started_utc == "at its start"


def test_a_null_responder_is_asked_in_every_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other rows need its figure; any other row ends with its first failure."""

    def measure(_: OneMachine, trial: Trial, bed: Bed, second: object) -> Sample:
        raise ChildError("it said nothing")

    monkeypatch.setattr(run, "skipped", lambda *_: {})
    monkeypatch.setattr(OneMachine, "check", lambda *_: None)
    monkeypatch.setattr(OneMachine, "measure", measure)
    told = Told()
    names = ("limit-veth", "host-sock")
    rows = tuple(SpecRung(rung=find(name), services=("echo",), rounds=3) for name in names)
    asked = spec(host_sock=3).model_copy(update={"rungs": rows})
    run.run(asked, built(), loopback(), tmp_path, told)
    assert Counter(sample.rung for sample in told.samples) == {"limit-veth": 3, "host-sock": 1}


def test_a_full_disk_ends_the_run_and_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def append(path: Path, sample: Sample) -> None:
        raise FullError(f"{path}: No space left on device; free some of that disk")

    monkeypatch.setattr(OneMachine, "check", lambda *_: None)
    monkeypatch.setattr(run.samples, "append", append)
    with pytest.raises(FullError):
        run.run(spec(host_sock=3), built(), loopback(), tmp_path, Told())
    state = json.loads((tmp_path / "run.json").read_text())
    assert state["partial"] is True and "samples.jsonl: No space left" in state["reason"]
