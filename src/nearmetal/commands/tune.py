"""tune: show, apply or restore machine settings, or print those that need a boot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nearmetal.errors import BadInputError, NearmetalError
from nearmetal.machine import journal
from nearmetal.machine.cores import cpus
from nearmetal.machine.cores.placement import in_words
from nearmetal.machine.journal import clean
from nearmetal.machine.processes import owner
from nearmetal.machine.processes.lock import machine_lock
from nearmetal.machine.tune import apply as act
from nearmetal.machine.tune import boot
from nearmetal.machine.tune.setting import State
from nearmetal.machine.tune.wanted import from_words
from nearmetal.report.layout import Column, columns, table

ACTIONS = ("show", "apply", "restore", "boot")
_ROOT = Path("/")
_SHOWN = (Column("setting"), Column("how it is", wraps=16))


def run(
    action: str, words: Sequence[str], interface: str | None, boot_line: bool, *, as_json: bool
) -> int:
    """Run one action; return the exit code. --boot means the action boot.

    as_json: print one object per line. Raises BadInputError for options that do not fit.
    """
    if boot_line:
        if action not in ("show", "boot"):  # show is also the default, without an action
            raise BadInputError(f"--boot: not with {action}; give one of them")
        action = "boot"
    if action not in ACTIONS:
        raise BadInputError(f"tune {action}: unknown; give one of {', '.join(ACTIONS)}")
    if words and action != "apply":
        raise BadInputError(f"tune {action}: takes no {words[0]}; only apply does")
    if interface is not None and action != "show":
        raise BadInputError("--interface: only with show; for apply give interface=NAME")
    if action == "restore":
        return _restore(as_json)
    if action == "show":
        _show(interface, as_json)
    elif action == "apply":
        _apply(words, as_json)
    elif as_json:
        for each in boot.parameters(boot.facts(_ROOT)):
            print(json.dumps(asdict(each)))
    else:
        for line in boot.lines(_ROOT):
            print(line)
    return 0


def _show(interface: str | None, as_json: bool) -> None:
    states = list(act.every(interface))
    cores = cpus.choose(cpus.allowed())
    about = "; ".join(filter(None, (in_words(cores), cores.note, cores.shared)))
    isolated = cpus.format_list(cpus.machine(cpus.allowed()).isolated)
    count = len(journal.kept(act.kept_folder(owner.state_directory())))
    if as_json:
        for state in states:
            print(json.dumps({"setting": state.name, "value": state.value, "note": state.note}))
        print(json.dumps({"placement": about, "isolated": isolated, "kept": count}))
        return
    rows = [(state.name, _value(state)) for state in states]
    rows += [("placement", about), ("isolated", isolated or "no core")]
    if count:
        rows.append(("kept", f"{count} changes by `tune apply`; `tune restore` undoes them"))
    for line in table(_SHOWN, rows, columns(), head=False):
        print(line)


def _value(state: State) -> str:
    note = f" ({state.note})" if state.value and state.note else ""
    return f"{state.value}{note}" if state.value else f"not here: {state.note}"


def _apply(words: Sequence[str], as_json: bool) -> None:
    wanted = from_words(words)
    with machine_lock():
        for line in clean():  # first, so that a killed run's settings are not kept as the originals
            _say(as_json, {"undone": line}, f"left behind by a killed run, undone: {line}")
        for applied in act.keep(wanted):
            _say(as_json, applied.model_dump(), str(applied))
    count = len(journal.kept(act.kept_folder(owner.state_directory())))
    until = "until `tune restore`, or the next boot"
    _say(as_json, {"kept": count}, until if count else "nothing was changed")


def _restore(as_json: bool) -> int:
    failed = 0
    with machine_lock():
        clean()
        done = list(act.put_back())
    for line in done:
        if isinstance(line, NearmetalError):
            failed += 1
            _say(as_json, {"failed": str(line)}, str(line))
        else:
            _say(as_json, {"put_back": line}, f"put back: {line}")
    if not done:
        _say(as_json, {"kept": 0}, "nothing is kept")
    return 1 if failed else 0


def _say(as_json: bool, found: dict[str, Any], words: str) -> None:
    """Print one fact, as JSON or in words."""
    print(json.dumps(found) if as_json else words)
