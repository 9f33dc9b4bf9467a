"""The back end `enoslib`: EnOSlib acquires, deploys and fetches; OpenSSH runs programs.

EnOSlib has its own environment and runs as a subprocess (engine/README.md). It reports how to reach
the machines that it acquired, and programs there are started by the same ssh that EnOSlib uses.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nearmetal.errors import CannotRunError, NearmetalError
from nearmetal.machine.processes.process import Child, ChildError, SilentError, Where
from nearmetal.testbed.provider import Facts, Host, Parcel
from nearmetal.testbed.spec import BedSpec

_WORKER = Path(__file__).with_name("engine") / "worker.py"
_ANSWER_S = 600.0
_RESERVE_S = 24 * 3600.0  # a reservation may have to wait in a queue
# Each side notices within seconds that the other is silent. Never prompt: no user is there.
_SSH = (
    *("-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"),
    *("-o", "ServerAliveInterval=2", "-o", "ServerAliveCountMax=3", "-o", "LogLevel=ERROR"),
)


class EnosTestbed:
    """The contract of provider.py with EnOSlib. A context manager, which releases the machines."""

    def __init__(self, spec: BedSpec) -> None:
        self._spec = spec
        self._worker: Child | None = None
        self._facts: dict[str, Facts] = {}

    def acquire(self) -> tuple[Host, ...]:
        if shutil.which("ssh") is None:
            raise CannotRunError("testbed: there is no ssh here (package openssh-client)")
        self._worker = start_worker()
        names = list(self._spec.seats())
        config = {**self._spec.config(), "nearmetal_names": names}
        found = self._ask("acquire", _RESERVE_S, provider=self._spec.provider.name, config=config)
        return tuple(_machine(each) for each in found)

    def facts(self, machine: Host) -> Facts:
        if machine.name not in self._facts:
            lines = str(self._ask("facts", machine=machine.name)).splitlines()
            if len(lines) != 6:
                raise NearmetalError(f"{machine.name}: not a known Linux: it printed {lines!r}")
            distribution, architecture, flags, cache, uid, sudo = lines
            self._facts[machine.name] = Facts(
                distribution,
                architecture,
                frozenset(flags.split()),
                cache,
                uid == "0",
                sudo == "sudo",
            )
        return self._facts[machine.name]

    def deploy(self, machine: Host, parcel: Parcel) -> str:
        folder = f"{self.facts(machine).cache}/deployed/{parcel.sha256[:16]}"
        self._ask(
            "deploy",
            machine=machine.name,
            archive=str(parcel.archive),
            folder=folder,
            stamp=f"{folder}/.nearmetal-deployed",
        )
        return folder

    def run(self, machine: Host, argv: Sequence[str]) -> Child:
        command = as_root(self.facts(machine), argv)
        return Child([*machine.ssh, command], Where(), talks=True)

    def fetch(self, machine: Host, path: str, to: Path) -> None:
        self._ask("fetch", machine=machine.name, path=path, to=str(to))

    def release(self) -> None:
        if self._worker is not None:
            worker, self._worker = self._worker, None
            ask(worker, "release", _ANSWER_S)
            worker.stop()

    def __enter__(self) -> EnosTestbed:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _ask(self, operation: str, timeout_s: float = _ANSWER_S, **arguments: Any) -> Any:
        assert self._worker is not None, "acquire must be called first"
        return ask(self._worker, operation, timeout_s, **arguments)


def as_root(facts: Facts, argv: Sequence[str]) -> str:
    """Return a command line for the shell on the machine, with sudo if the user is not root.

    Under sudo, SSH_CONNECTION and the cache's folder, which has the deployed source, are kept.
    """
    if facts.is_root:
        return shlex.join(argv)
    cache = shlex.quote(str(Path(facts.cache).parent))
    kept = f'SSH_CONNECTION="$SSH_CONNECTION" XDG_CACHE_HOME={cache}'
    return f"exec sudo -n env {kept} {shlex.join(argv)}"


def python() -> Path:
    """Return the interpreter of EnOSlib's environment, beside ours; the launcher makes it."""
    return Path(f"{sys.prefix}-testbed") / "bin" / "python"


def why_not() -> str | None:
    """Return why EnOSlib cannot be used, or None."""
    if (Path(f"{sys.prefix}-testbed") / "ready" / "testbed").exists():
        return None
    return "EnOSlib is not here: start with ./nearmetal testbed, which sets it up"


def start_worker() -> Child:
    """Start EnOSlib's worker, which waits for requests."""
    if (reason := why_not()) is not None:
        raise CannotRunError(f"testbed: {reason}")
    tools = f"PATH={python().parent}:{_path()}"
    # Empty values: neither our modules nor the shell's may be imported there.
    own = ["env", tools, "PYTHONSAFEPATH=", "PYTHONPATH=", "PYTHONHOME="]
    return Child([*own, str(python()), str(_WORKER)], Where(), talks=True)


def ask(worker: Child, operation: str, timeout_s: float = _ANSWER_S, **arguments: Any) -> Any:
    """Send one request and return its answer. NearmetalError: it failed, or there is no answer."""
    worker.say(json.dumps({"op": operation, **arguments}))
    try:
        answer = worker.event(timeout_s)
    except SilentError:
        raise NearmetalError(f"testbed: no answer to {operation} in {timeout_s:.0f} s") from None
    except ChildError as error:
        raise NearmetalError(f"testbed: EnOSlib ended: {error}") from error
    if "error" in answer:
        raise NearmetalError(f"testbed: {answer['error']}")
    return answer["ok"]


def _machine(found: dict[str, Any]) -> Host:
    ssh = ["ssh", *_SSH, *shlex.split(found["options"] or "")]
    ssh += ["-p", str(found["port"])] if found["port"] else []
    ssh += ["-i", found["key"], "-o", "IdentitiesOnly=yes"] if found["key"] else []
    ssh += ["-l", found["user"]] if found["user"] else []
    return Host(found["name"], found["address"], (*ssh, found["address"]))


def _path() -> str:
    return os.environ.get("PATH", "/usr/bin:/bin")
