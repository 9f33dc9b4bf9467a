"""The command `tune`: show, apply, restore, boot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nearmetal.errors import BadInputError, NearmetalError
from nearmetal.machine import journal
from nearmetal.machine.cores import cpus
from nearmetal.machine.cores.placement import in_words
from nearmetal.machine.journal import clean
from nearmetal.machine.processes import owner
from nearmetal.machine.processes.lock import machine_lock
from nearmetal.machine.tune import apply as act
from nearmetal.machine.tune import boot
from nearmetal.machine.tune.wanted import from_words
from nearmetal.report.layout import Column, columns, table

ACTIONS = ("show", "apply", "restore", "boot")
_ROOT = Path("/")
_SHOWN = (Column("setting"), Column("how it is", wraps=16))


def run(action: str, words: Sequence[str], interface: str | None, boot_line: bool) -> int:
    """One action; gives the exit code. --boot is the action boot."""
    if boot_line:
        if action not in ("show", "boot"):  # show is what no word stands for
            raise BadInputError(f"--boot: does not go with {action}")
        action = "boot"
    if action not in ACTIONS:
        raise BadInputError(f"tune {action}: unknown (known: {', '.join(ACTIONS)})")
    if words and action != "apply":
        raise BadInputError(f"tune {action}: takes no {words[0]}; only apply does")
    if interface is not None and action != "show":
        raise BadInputError("--interface: of show; for apply say interface=NAME")
    if action == "show":
        _show(interface)
    elif action == "apply":
        _apply(words)
    elif action == "restore":
        return _restore()
    else:
        for line in boot.lines(_ROOT):
            print(line)
    return 0


def _show(interface: str | None) -> None:
    rows = []
    for state in act.every(interface):
        note = f" ({state.note})" if state.value and state.note else ""
        value = f"{state.value}{note}" if state.value else f"not here: {state.note}"
        rows.append((state.name, value))
    cores = cpus.choose(cpus.allowed())
    about = "; ".join(filter(None, (in_words(cores), cores.note, cores.shared)))
    rows.append(("placement", about))
    isolated = cpus.format_list(cpus.machine(cpus.allowed()).isolated)
    rows.append(("isolated", isolated or "no core"))
    kept = journal.kept(act.kept_folder(owner.state_directory()))
    if kept:
        rows.append(("kept", f"{len(kept)} changes of `tune apply`; `tune restore` puts them back"))
    for line in table(_SHOWN, rows, columns(), head=False):
        print(line)


def _apply(words: Sequence[str]) -> None:
    wanted = from_words(words)
    with machine_lock():
        for line in clean():  # or what a killed run set would be taken for what was there
            print(f"left behind by a run that was killed, undone: {line}")
        for applied in act.keep(wanted):
            print(applied)
    kept = journal.kept(act.kept_folder(owner.state_directory()))
    print("until `tune restore`, or the next boot" if kept else "nothing was changed")


def _restore() -> int:
    failed = 0
    with machine_lock():
        clean()
        done = list(act.put_back())
    for line in done:
        failed += isinstance(line, NearmetalError)
        print(line if isinstance(line, NearmetalError) else f"put back: {line}")
    if not done:
        print("nothing is kept")
    return 1 if failed else 0
