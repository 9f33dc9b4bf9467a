"""Apply settings to a machine, for a run or permanently, and restore the former ones.

`tuned` applies a spec's [machine] during a `with`; after a kill, `clean` or the next run undoes it,
like all changes of a run. `keep` is `tune apply`: its records are in a folder that `clean` ignores,
until `put_back` (`tune restore`) undoes them.

A setting that the machine lacks is not a failure: the result says so, and the others are applied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from nearmetal.errors import NearmetalError
from nearmetal.machine import journal
from nearmetal.machine.cores import cpus
from nearmetal.machine.cores.placement import Cores, place
from nearmetal.machine.devices import ethtool
from nearmetal.machine.journal import Journal, Standing
from nearmetal.machine.links import nic
from nearmetal.machine.memory import hugepages
from nearmetal.machine.processes import owner
from nearmetal.machine.tune.interrupts import Irq, Rps
from nearmetal.machine.tune.link import Offload
from nearmetal.machine.tune.memory import Pages
from nearmetal.machine.tune.processor import Governor, NmiWatchdog, Smt, Turbo
from nearmetal.machine.tune.setting import Change, LacksError, Setting, State, on_off, text_of
from nearmetal.machine.tune.wanted import Wanted
from nearmetal.machine.undo import undo
from nearmetal.samples import Frozen

ROOT = Path("/")
_KEPT_BY = "tuned"


class Applied(Frozen):
    """The result of one setting: what was requested, and the state before and after."""

    name: str
    asked: str
    before: str | None  # None: this machine does not have the setting
    after: str | None
    reason: str = ""  # why the request is not fulfilled, or only in part; "": it is

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.name}: not set ({self.reason})"
        if self.before != self.after:
            change = f"{self.before} -> {self.after}"
        else:
            change = f"{self.after}, {'not changed' if self.reason else 'as requested'}"
        return f"{self.name}: {change}" + (f" ({self.reason})" if self.reason else "")


Hold = Callable[[Change], None]


@contextmanager
def tuned(
    wanted: Wanted | None, made: Journal | None = None, root: Path = ROOT
) -> Iterator[tuple[Applied, ...]]:
    """Apply the settings during the body, with records, and restore the former ones after it."""
    made = made or journal.open_journal()
    with ExitStack() as stack:

        def hold(change: Change) -> None:
            stack.enter_context(_held(made, change))

        state = made.directory.parent
        yield tuple(_apply(*each, hold) for each in _asked(wanted, root, state, str(made.owner)))


def keep(wanted: Wanted, state: Path | None = None, root: Path = ROOT) -> Iterator[Applied]:
    """Apply the settings until `put_back` or the next boot."""
    state = state or owner.state_directory()
    folder = kept_folder(state)

    def hold(change: Change) -> None:
        with journal.keeps(folder, change.kind, change.what, **change.undone_by) as record:
            _perform(change, record)

    _give_up_pages(wanted, folder)
    for each in _asked(wanted, root, state, _KEPT_BY):
        yield _apply(*each, hold)


def put_back(state: Path | None = None) -> Iterator[str | NearmetalError]:
    """Undo what `keep` set, the newest first; yield a line, or an error for a record that stays."""
    return journal.restore(kept_folder(state or owner.state_directory()))


def kept_folder(state: Path) -> Path:
    """Return the folder of the records that `keep` writes."""
    return state / _KEPT_BY


def every(interface: str | None, root: Path = ROOT) -> Iterator[State]:
    """Return the present state of all settings, and of the interface's if one is given."""
    cores = cpus.choose(cpus.allowed(root), root)
    state = owner.state_directory()  # only read: nothing is claimed
    settings: list[Setting] = [Governor(root), Turbo(root), Smt(root), NmiWatchdog(root)]
    settings += [Pages(root, size, state, _KEPT_BY) for size in _SIZES]
    settings.append(Irq(root, cores))
    if interface is not None:
        settings.append(Rps(root, interface, cores))
        settings += [Offload(root, interface, feature) for feature in ethtool.FEATURES]
    return (setting.read() for setting in settings)


_SIZES = (hugepages.PAGE_BYTES, hugepages.GIB_BYTES)


def _asked(
    wanted: Wanted | None, root: Path, state: Path, claimant: str
) -> Iterator[tuple[Setting, str]]:
    """Yield the settings in the order of their acts, each made when it is due.

    SMT is switched on first and off last, so that the other settings are read, and in reverse
    order restored, while all cores are online.
    """
    if wanted is None:
        return
    if wanted.smt:
        yield Smt(root), "on"
    if wanted.governor is not None:
        yield Governor(root), wanted.governor
    if wanted.turbo is not None:
        yield Turbo(root), on_off(wanted.turbo)
    if wanted.nmi_watchdog is not None:
        yield NmiWatchdog(root), on_off(wanted.nmi_watchdog)
    for size, count in zip(_SIZES, (wanted.hugepages_2mib, wanted.hugepages_1gib), strict=True):
        if count is not None:
            yield Pages(root, size, state, claimant), str(count)
    yield from _of_interface(wanted, root)
    if wanted.irq is not None:
        yield Irq(root, _cores(wanted, root)), wanted.irq
    if wanted.smt is False:
        yield Smt(root), "off"


def _of_interface(wanted: Wanted, root: Path) -> Iterator[tuple[Setting, str]]:
    if wanted.interface is None:
        return
    if wanted.rps is not None:
        yield Rps(root, wanted.interface, _cores(wanted, root)), wanted.rps
    for feature in ethtool.FEATURES:
        on = getattr(wanted.offloads, feature, None)
        if on is not None:
            yield Offload(root, wanted.interface, feature), on_off(on)


def _cores(wanted: Wanted, root: Path) -> Cores:
    """Return the placement after the SMT change; cores that it switches off count as quiet."""
    there = cpus.machine(cpus.allowed(root), root)
    if wanted.smt is not False:
        return place(there)
    cores = place(there.without_siblings())
    going = {cpu.number for cpu in there.cpus if cpu.number != min(cpu.siblings)}
    return replace(cores, quiet=cores.quiet | going if cores.quiet else cores.quiet)


def _apply(setting: Setting, asked: str, hold: Hold) -> Applied:
    before = setting.read()
    try:
        _refuse_default_route(setting)
        changes = setting.changes(asked)
    except LacksError as lacks:
        return Applied(
            name=before.name,
            asked=asked,
            before=before.value,
            after=before.value,
            reason=str(lacks),
        )
    refused: list[str] = []
    for change in changes:
        try:
            hold(change)
        except OSError as error:
            refused.append(error.strerror or str(error))
    after = setting.read()
    reason = _shortfall(asked, before, after)
    if refused:
        reason = f"{len(refused)} of {len(changes)} refused by the kernel: {refused[0]}"
    return Applied(
        name=before.name, asked=asked, before=before.value, after=after.value, reason=reason
    )


def _refuse_default_route(setting: Setting) -> None:
    """LacksError: the setting is of the interface that carries this machine's default route."""
    if isinstance(setting, Rps | Offload) and nic.carries_default_route(setting.iface):
        raise LacksError(f"{setting.iface} carries this machine's default route: not changed")


def _shortfall(asked: str, before: State, after: State) -> str:
    """Return what the kernel accepted without an error but did not do, or ""."""
    if asked.isdecimal() and after.pages - before.pages < int(asked):
        got = max(0, after.pages - before.pages)
        return f"the kernel found {got} of {asked} in one piece; more are free at boot: tune --boot"
    if asked in ("on", "off") and after.value in ("on", "off") and after.value != asked:
        return "the kernel did not change it"
    return ""


def _give_up_pages(wanted: Wanted, folder: Path) -> None:
    """Give back kept pages of the sizes requested now: the new request replaces the old one."""
    for size, count in zip(_SIZES, (wanted.hugepages_2mib, wanted.hugepages_1gib), strict=True):
        for file, record in journal.kept(folder).items() if count is not None else ():
            if record.kind == "pages" and Path(record.inside or "").parent.name.endswith(
                f"-{size >> 10}kB"
            ):
                undo(record)
                file.unlink()


@contextmanager
def _held(made: Journal, change: Change) -> Iterator[None]:
    with made.holds(change.kind, change.what, **change.undone_by) as record:
        _perform(change, record)
        yield


def _perform(change: Change, record: Standing) -> None:
    change.perform()
    if change.kind == "value" and (now := text_of(Path(change.what))) is not None:
        record.came_about(now)
