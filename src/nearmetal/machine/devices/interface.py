"""A kernel interface, saved before its device is handed to a program and restored after.

The interface disappears with its driver and returns as a new one: perhaps with another name, down,
without addresses, with the driver's defaults. This module saves all its settings and restores them.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
from typing import Any

from pydantic import Field
from pyroute2 import IPRoute

from nearmetal.machine.devices import ethtool
from nearmetal.samples import Frozen

_UP, _PROMISC = 0x1, 0x100  # linux/if.h
# rtnetlink(7): addresses of a narrower scope, and learnt ones, return by themselves.
_GLOBAL, _PERMANENT = 0, 0x80
_MAIN, _BY_KERNEL, _BY_ROUTERS = 254, 2, 9


class Route(Frozen):
    """A route set by a user or a program; the kernel adds the routes of addresses by itself."""

    family: int
    destination: str
    gateway: str | None = None
    source: str | None = None
    priority: int | None = None


class Interface(Frozen):
    """The settings of an interface that do not come from its driver."""

    name: str
    mac: str
    mtu: int
    up: bool
    promiscuous: bool
    addresses: tuple[tuple[int, str, int], ...]  # family, address, bits
    routes: tuple[Route, ...] = ()
    features: dict[ethtool.Feature, bool] = Field(default_factory=dict)
    rings: ethtool.Rings | None = None
    channels: ethtool.Channels | None = None


def seen(name: str) -> Interface:
    """Return the present settings of the interface."""
    with IPRoute() as route:
        (link,) = route.get_links(ifname=name)
        index = link["index"]
        return Interface(
            name=name,
            mac=link.get("address"),
            mtu=link.get("mtu"),
            up=bool(link["flags"] & _UP),
            promiscuous=bool(link["flags"] & _PROMISC),
            addresses=tuple(_addresses(route, index)),
            routes=tuple(_routes(route, index)),
            features=_features(name),
            rings=ethtool.rings(name),
            channels=ethtool.channels(name),
        )


def put_back(was: Interface, now: str) -> None:
    """Restore the settings `was` on the interface that is now named `now`. May be repeated."""
    _settle()
    with IPRoute() as route:
        (link,) = route.get_links(ifname=now)
        index = link["index"]
        if (now, link.get("address")) != (was.name, was.mac):  # both can be set only while down
            route.link("set", index=index, state="down")
            route.link("set", index=index, ifname=was.name, address=was.mac)
        if link.get("mtu") != was.mtu:
            route.link("set", index=index, mtu=was.mtu)
        _tune_back(was)
        there = _addresses(route, index)
        for family, address, bits in was.addresses:
            if (family, address, bits) not in there:
                route.addr("add", family=family, index=index, address=address, prefixlen=bits)
        flags = (_UP if was.up else 0) | (_PROMISC if was.promiscuous else 0)
        route.link("set", index=index, flags=flags, change=_UP | _PROMISC)
        for each in was.routes if was.up else ():
            _add(route, index, each)


def _addresses(route: IPRoute, index: int) -> list[tuple[int, str, int]]:
    return [
        (each["family"], each.get("address"), each["prefixlen"])
        for each in route.get_addr(index=index)
        if each["scope"] == _GLOBAL
        and (each["family"] == socket.AF_INET or each["flags"] & _PERMANENT)
    ]


def _routes(route: IPRoute, index: int) -> list[Route]:
    found = []
    for family in (socket.AF_INET, socket.AF_INET6):
        for each in route.get_routes(family=family, oif=index, table=_MAIN):
            if each["proto"] in (_BY_KERNEL, _BY_ROUTERS) or each.get("oif") != index:
                continue
            dst = each.get("dst")
            found.append(
                Route(
                    family=family,
                    destination=f"{dst}/{each['dst_len']}" if dst else "default",
                    gateway=each.get("gateway"),
                    source=each.get("prefsrc"),
                    priority=each.get("priority"),
                )
            )
    return found


def _add(route: IPRoute, index: int, each: Route) -> None:
    wanted: dict[str, Any] = {"dst": each.destination, "oif": index, "family": each.family}
    wanted |= {"gateway": each.gateway} if each.gateway else {}
    wanted |= {"prefsrc": each.source} if each.source else {}
    wanted |= {"priority": each.priority} if each.priority is not None else {}
    route.route("replace", **wanted)


def _features(name: str) -> dict[ethtool.Feature, bool]:
    found: dict[ethtool.Feature, bool] = {}
    for feature in ethtool.FEATURES:
        with contextlib.suppress(OSError):  # the link does not have the feature
            found[feature] = ethtool.has(name, feature)
    return found


def _tune_back(was: Interface) -> None:
    """Restore channels, rings and features. The link must be down: some drivers require this."""
    if was.channels is not None and ethtool.channels(was.name) != was.channels:
        ethtool.set_channels(was.name, was.channels)
    if was.rings is not None and ethtool.rings(was.name) != was.rings:
        ethtool.set_rings(was.name, was.rings)
    for feature, on in was.features.items():
        if ethtool.has(was.name, feature) != on:
            with contextlib.suppress(OSError):  # a feature that follows from other features
                ethtool.switch(was.name, feature, on)


def _settle() -> None:
    """Wait until udev has named the machine's interfaces."""
    if shutil.which("udevadm"):
        subprocess.run(["udevadm", "settle", "--timeout=10"], check=False, capture_output=True)
