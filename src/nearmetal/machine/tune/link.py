"""Offloads of an interface: merging, segmentation and checksums (ethtool's features)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nearmetal.machine import rights
from nearmetal.machine.devices import ethtool
from nearmetal.machine.tune.setting import Change, LacksError, State, on_off


@dataclass(frozen=True)
class Offload:
    """One feature, read by ethtool's calls, as /sys does not show it."""

    root: Path
    iface: str
    feature: ethtool.Feature

    def read(self) -> State:
        name = f"offloads.{self.feature}"
        if not (self.root / "sys/class/net" / self.iface).exists():
            return State(name, None, f"no interface {self.iface}")
        try:
            return State(name, on_off(ethtool.has(self.iface, self.feature)))
        except OSError as error:
            return State(name, None, f"{self.iface} does not report it: {error.strerror}")

    def changes(self, wanted: str) -> list[Change]:
        now = self.read()
        if now.value is None:
            raise LacksError(now.note)
        if now.value == wanted:
            return []
        if not rights.held("CAP_NET_ADMIN"):
            raise LacksError(rights.lacking("CAP_NET_ADMIN", "offloads of a link"))
        return [Change("offload", self.feature, wanted, now.value, self.iface)]
