"""Set a machine, for a run or to stay, and put it back.

`tuned` holds what a spec's [machine] asks for the time of a `with`; what a kill leaves is undone by
`clean` and by the next run, as all that a run makes. `keep` is `tune apply`: its records outlive
it, in a folder that `clean` passes over, until `put_back` (`tune restore`) undoes them.

What a machine lacks is no failure: it is said in what is returned, and the rest goes on.
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
    """One setting: what was asked and what came of it."""

    name: str
    asked: str
    before: str | None  # None: this machine has no such thing
    after: str | None
    reason: str = ""  # why not, or not wholly; "" when it is as asked

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.name}: not set ({self.reason})"
        if self.before != self.after:
            change = f"{self.before} -> {self.after}"
        else:
            change = f"{self.after}, {'not changed' if self.reason else 'as asked'}"
        return f"{self.name}: {change}" + (f" ({self.reason})" if self.reason else "")


Hold = Callable[[Change], None]


@contextmanager
def tuned(
    wanted: Wanted | None, made: Journal | None = None, root: Path = ROOT
) -> Iterator[tuple[Applied, ...]]:
    """Set the machine for the body, journaled, and put it back however that ends."""
    made = made or journal.open_journal()
    with ExitStack() as stack:

        def hold(change: Change) -> None:
            stack.enter_context(_held(made, change))

        state = made.directory.parent
        yield tuple(_apply(*each, hold) for each in _asked(wanted, root, state, str(made.owner)))


def keep(wanted: Wanted, state: Path | None = None, root: Path = ROOT) -> Iterator[Applied]:
    """Set the machine to stay so until `put_back`, or the next boot."""
    state = state or owner.state_directory()
    folder = kept_folder(state)

    def hold(change: Change) -> None:
        with journal.keeps(folder, change.kind, change.what, **change.undone_by) as record:
            _perform(change, record)

    _give_up_pages(wanted, folder)
    for each in _asked(wanted, root, state, _KEPT_BY):
        yield _apply(*each, hold)


def put_back(state: Path | None = None) -> Iterator[str | NearmetalError]:
    """Undo what is kept, the last first; an error for what cannot be, which stays kept."""
    return journal.restore(kept_folder(state or owner.state_directory()))


def kept_folder(state: Path) -> Path:
    """Where `keep` writes its records."""
    return state / _KEPT_BY


def every(interface: str | None, root: Path = ROOT) -> Iterator[State]:
    """All settings as they are; of an interface, too, where one is named."""
    cores = cpus.choose(cpus.allowed(root), root)
    state = owner.state_directory()  # read only: nothing is claimed
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
    """In the order of the acts. Made one by one, since the first may bring cores.

    Threads of a core are switched on first and off last: so all is read, and in reverse put back,
    while every core is there.
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
    """Who will have which core, once SMT is as it was asked; threads that go are nobody's."""
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
    """What this machine reaches the rest of the world by is left alone."""
    if isinstance(setting, Rps | Offload) and nic.carries_default_route(setting.iface):
        raise LacksError(f"{setting.iface} carries this machine's default route; it is left alone")


def _shortfall(asked: str, before: State, after: State) -> str:
    """What the kernel took without a word, and did not do."""
    if asked.isdecimal() and after.pages - before.pages < int(asked):
        got = max(0, after.pages - before.pages)
        return f"the kernel found {got} of {asked} in one piece; a boot finds more: tune --boot"
    if asked in ("on", "off") and after.value in ("on", "off") and after.value != asked:
        return "the kernel left it as it is"
    return ""


def _give_up_pages(wanted: Wanted, folder: Path) -> None:
    """Pages asked for again are instead of those that are kept, not on top of them."""
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
