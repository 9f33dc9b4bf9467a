"""Rows of Linux guests: a label has the facts that the guest reported at boot."""

from __future__ import annotations

import made

from nearmetal.report import caveats
from nearmetal.report.compute import Setting, rows
from nearmetal.samples import Guest

GUEST = Guest(
    kernel="6.1.0-50-cloud-amd64",
    vcpus=1,
    clock="tsc",
    uptime_ms=1700,
    mitigations={"meltdown": "Not affected", "spectre_v1": "Mitigation: some"},
)


def test_a_guest_is_named_with_what_it_mitigates() -> None:
    samples = made.rounds("guest-mmsg", "kv", [20_000] * 3, guest=GUEST)
    (row,) = (
        each
        for each in rows(Setting(spec=made.spec("guest-mmsg")), samples)
        if each.service == "kv"
    )
    assert row.guest == GUEST
    (label,) = (label for label in row.labels if caveats.kind(label) == "Linux guest")
    assert label.endswith("6.1.0-50-cloud-amd64, 1 vCPU, clock tsc, mitigations against spectre_v1")
