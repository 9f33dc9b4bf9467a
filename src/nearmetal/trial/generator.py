"""The options of the traffic generator that describe a load.

Every value is passed, also where it equals a default of nm-load: those are for interactive use.
"""

from __future__ import annotations

from nearmetal.spec import services
from nearmetal.spec.experiment import Spec, Workload
from nearmetal.trial.bed import Trial

TIMEOUT_S = 0.1  # a request without an answer for this long is lost
SEED = 1
UNTIL_STOPPED_S = 0.0  # as measured_s: run until stopped


def arguments(
    workload: Workload,
    window: int,
    service: str,
    *,
    warmup_s: float,
    measured_s: float,
    seed: int = SEED,
    records: str | None = None,
) -> list[str]:
    """Return the options of nm-load for a load.

    records: where the file that it asks is on its machine; None: where the service's row says.
    """
    row = services.find(service)
    own = None if row.own is None else records or row.own.records
    argv = _keys(workload) if own is None else ["--records", own]
    argv += ["--uniform"] if workload.zipf is None else ["--zipf", f"{workload.zipf:g}"]
    argv += ["--stamp"] if workload.stamp and not row.stores and own is None else []
    if workload.source_port is not None:
        argv += ["--source-port", str(workload.source_port)]
    argv += ["--flows", str(workload.flows), "--window", str(window)]
    argv += ["--warmup", f"{warmup_s:g}", "--time", f"{measured_s:g}"]
    return [*argv, "--timeout", f"{TIMEOUT_S:g}", "--seed", str(seed)]


def _keys(workload: Workload) -> list[str]:
    """Return the options that describe keys and what is done with them."""
    argv = ["--keys", str(workload.keys), "--key-bytes", str(workload.key_bytes)]
    argv += ["--value-bytes", _value_bytes(workload), "--get", f"{workload.get:g}"]
    return [*argv, "--set", f"{workload.set:g}", "--miss", f"{workload.miss:g}"]


def _value_bytes(workload: Workload) -> str:
    """Return one length, or the classes' lengths with their shares."""
    if not workload.classes:
        return str(workload.value_bytes)
    return ",".join(f"{each.value_bytes}:{each.share:.9g}" for each in workload.classes)


def of_trial(trial: Trial, spec: Spec, wire: str, records: str | None = None) -> list[str]:
    """Return the options for one trial, with its rate if it has one.

    wire: the wire whose window is used. records: as for arguments.
    """
    asked = arguments(
        spec.workload,
        spec.window.of(wire),
        trial.service,
        warmup_s=spec.warmup_s,
        measured_s=spec.measured_s,
        seed=spec.seed + trial.round,
        records=records,
    )
    if trial.point.rate_per_s is not None:
        asked += pace(trial.point.rate_per_s, spec.sweep.arrivals if spec.sweep else "constant")
    return asked


def asker(workload: Workload, service: str, records: str | None = None) -> list[str]:
    """Return the options of a generator that ends at the first right answer.

    It takes any source port, so that late replies to it do not reach the generator that follows.
    records: as for arguments.
    """
    anywhere = workload.model_copy(update={"source_port": None, "flows": 1})
    asked = arguments(anywhere, 1, service, warmup_s=0, measured_s=0, records=records)
    return [*asked, "--first-answer"]


def pace(rate_per_s: float, arrivals: str) -> list[str]:
    """Return the options of an open loop."""
    return ["--rate", f"{rate_per_s:.0f}", "--arrivals", arrivals]
