"""The command line of the traffic generator, as far as a load makes it.

Every value is handed over: the defaults of nm-load are for people who type its command line.
"""

from __future__ import annotations

from nearmetal.spec import services
from nearmetal.spec.experiment import Spec, Workload
from nearmetal.trial.bed import Trial

TIMEOUT_S = 0.1  # unanswered for longer is lost
SEED = 1
UNTIL_STOPPED_S = 0.0  # of the measured time: no end of its own


def arguments(
    workload: Workload,
    window: int,
    service: str,
    *,
    warmup_s: float,
    measured_s: float,
    seed: int = SEED,
) -> list[str]:
    """A load as nm-load has it."""
    argv = ["--keys", str(workload.keys), "--key-bytes", str(workload.key_bytes)]
    argv += ["--value-bytes", str(workload.value_bytes), "--get", f"{workload.get:g}"]
    argv += ["--set", f"{workload.set:g}", "--miss", f"{workload.miss:g}"]
    argv += ["--uniform"] if workload.zipf is None else ["--zipf", f"{workload.zipf:g}"]
    argv += ["--stamp"] if workload.stamp and not services.find(service).stores else []
    if workload.source_port is not None:
        argv += ["--source-port", str(workload.source_port)]
    argv += ["--flows", str(workload.flows), "--window", str(window)]
    argv += ["--warmup", f"{warmup_s:g}", "--time", f"{measured_s:g}"]
    return [*argv, "--timeout", f"{TIMEOUT_S:g}", "--seed", str(seed)]


def of_trial(trial: Trial, spec: Spec, wire: str) -> list[str]:
    """The load of one visit, with its rate where that is given; wire: whose window it has."""
    asked = arguments(
        spec.workload,
        spec.window.of(wire),
        trial.service,
        warmup_s=spec.warmup_s,
        measured_s=spec.measured_s,
        seed=spec.seed + trial.round,
    )
    if trial.point.rate_per_s is not None:
        asked += pace(trial.point.rate_per_s, spec.sweep.arrivals if spec.sweep else "constant")
    return asked


def asker(workload: Workload, service: str) -> list[str]:
    """One that waits for the first right answer, and ends. Its ports are any: what comes late to it
    is not to reach the generator behind it."""
    anywhere = workload.model_copy(update={"source_port": None, "flows": 1})
    asked = arguments(anywhere, 1, service, warmup_s=0, measured_s=0)
    return [*asked, "--first-answer"]


def pace(rate_per_s: float, arrivals: str) -> list[str]:
    """The open loop as nm-load has it."""
    return ["--rate", f"{rate_per_s:.0f}", "--arrivals", arrivals]
