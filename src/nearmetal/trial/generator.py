"""The command line of the traffic generator, as far as a workload and a rate make it."""

from __future__ import annotations

from nearmetal.spec import services
from nearmetal.spec.experiment import Workload


def arguments(workload: Workload, window: int, service: str) -> list[str]:
    """A workload as nm-load has it."""
    argv = ["--keys", str(workload.keys), "--key-bytes", str(workload.key_bytes)]
    argv += ["--value-bytes", str(workload.value_bytes), "--get", f"{workload.get:g}"]
    argv += ["--set", f"{workload.set:g}", "--miss", f"{workload.miss:g}"]
    argv += ["--uniform"] if workload.zipf is None else ["--zipf", f"{workload.zipf:g}"]
    argv += ["--stamp"] if workload.stamp and not services.find(service).stores else []
    if workload.source_port is not None:
        argv += ["--source-port", str(workload.source_port)]
    return [*argv, "--flows", str(workload.flows), "--window", str(window)]


def pace(rate_per_s: float, arrivals: str) -> list[str]:
    """The open loop as nm-load has it."""
    return ["--rate", f"{rate_per_s:.0f}", "--arrivals", arrivals]
