"""Made-up runs: folders as written by the earlier stages, with known counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nearmetal import samples
from nearmetal.samples import CoreTime, Counts, Resources, Sample
from nearmetal.spec.experiment import Spec, SpecRung, Workload
from nearmetal.spec.rungs import find

MACHINE = {
    "cpu": "Made-up CPU <2 GHz>",
    "cores": 2,
    "kernel": "6.18.0",
    "memory_bytes": 24 << 30,
    "tsc_hz": 2_600_000_000,
    "hypervisor": "kvm",
}
TOPOLOGY = {
    "version": 1,
    "wire": "veth",
    "sut_cpu": 0,
    "tg_cpu": 1,
    "placement": "SUT's receive processing on the SUT's core (RPS)",
    "notes": ["receive of the generator's end is not steered"],
}
BUILD = {
    "compiler": "gcc 12.2.0",
    "flags": "-O3 lto=True",
    "isa": "x86-64-v3",
    "commit": "0123456789abcdef",
    "dirty": False,
    "programs": {"nm-mmsg-kv": {"path": "/x", "image_bytes": 1, "sha256": "0"}},
    "missing": {},
}


def spec(*rungs: str, rounds: int = 3) -> Spec:
    """Return a spec of these rungs, with all their services."""
    chosen = (find(name) for name in rungs)
    return Spec(
        name="made",
        workload=Workload(),
        rounds=rounds,
        rungs=tuple(SpecRung(rung=rung, services=rung.services, rounds=rounds) for rung in chosen),
    )


def counts(answered: int = 900_000, **other: int) -> Counts:
    """Return counts of three seconds that add up, unless other values are given."""
    parts = {"wrong": 0, "lost": 0, **other}
    fields = Counts.model_fields.items()
    values: dict[str, Any] = {name: 0 for name, known in fields if known.is_required()} | parts
    values |= {"answered": answered, "duration_ns": other.get("duration_ns", 3_000_000_000)}
    values["sent"] = other.get("sent", answered + parts["wrong"] + parts["lost"])
    return Counts(**values)


def core(cpu: int, idle_s: float = 0.0, **other: float) -> CoreTime:
    """Return three busy seconds: 0.5 user, 1.5 system, 1.0 softirq."""
    times = {"user_s": 0.5, "system_s": 1.5, "softirq_s": 1.0, "irq_s": 0.0, "steal_s": 0.0}
    return CoreTime(cpu=cpu, idle_s=idle_s, **(times | other))


def sample(rung: str, service: str = "kv", number: int = 0, **other: Any) -> Sample:
    """Return a good trial, unless other values are given."""
    values: dict[str, Any] = {
        "rung": rung,
        "service": service,
        "round": number,
        "status": "ok",
        "started_utc": "2026-11-22T10:00:00Z",
        "counts": counts(),
        "latency": [(100_000, 450_000), (200_000, 440_000), (900_000, 10_000)],
        "evicted": 0,
        "sut_core": core(0),
        "tg_core": core(1),
        "tsc_hz": 2_600_000_000,
        "resources": Resources(image_bytes=2 << 20, rss_bytes=200 << 20, start_ms=12.5),
    }
    return Sample.model_validate(values | other)


def rounds(rung: str, service: str, rates_per_s: list[int], **other: Any) -> list[Sample]:
    """Return one trial per rate; each takes three seconds."""
    return [
        sample(
            rung,
            service,
            number,
            counts=counts(3 * rate),
            latency=[(128_000_000 // max(rate, 1000) * 1000, 3 * rate)],
            **other,
        )
        for number, rate in enumerate(rates_per_s)
    ]


def folder(
    path: Path,
    run_spec: Spec,
    trials: list[Sample],
    state: dict[str, Any] | None,
    **facts: dict[str, Any],
) -> Path:
    """Write a run's folder and return it. state None: run.json was never written."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "spec.json").write_text(run_spec.model_dump_json())
    files = {"topology": TOPOLOGY, "machine": MACHINE, "build": BUILD} | facts
    for name, value in files.items():
        (path / f"{name}.json").write_text(json.dumps(value))
    if state is not None:
        (path / "run.json").write_text(json.dumps(state))
    for trial in trials:
        samples.append(path / "samples.jsonl", trial)
    return path


DONE = {
    "skipped": {},
    "partial": False,
    "reason": "",
    "started_utc": "2026-11-22T10:00:00Z",
    "finished_utc": "2026-11-22T10:05:00Z",
}
