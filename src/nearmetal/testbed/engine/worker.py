"""EnOSlib, driven by JSON lines. See README.md beside this file for the protocol and the licence.

Started by path with the interpreter of EnOSlib's environment. It imports only EnOSlib and the
standard library.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
from pathlib import Path
from typing import IO, Any

_PROVIDERS = {  # name: module and class of the provider, module and class of its configuration
    "static": ("enos_static", "Static"),
    "grid5000": ("enos_g5k", "G5k"),
    "chameleon": ("enos_chameleonbaremetal", "Chameleonbaremetal"),
    "vagrant": ("enos_vagrant", "Enos_vagrant"),
}
# Ansible's settings: no connection outlives its command, no question is asked, and the interpreter
# is the python3 that the machine's PATH has.
_ANSIBLE = {
    "ANSIBLE_PIPELINING": "1",
    "ANSIBLE_PYTHON_INTERPRETER": "python3",
    "ANSIBLE_SSH_ARGS": "-o ControlMaster=no -o BatchMode=yes -o ConnectTimeout=10"
    " -o ServerAliveInterval=2 -o ServerAliveCountMax=3",
}
_FACTS = (
    '. /etc/os-release; echo "$ID $VERSION_ID"; uname -m;'
    ' sed -n "s/^flags[^:]*: //p" /proc/cpuinfo | head -n 1;'
    ' echo "${XDG_CACHE_HOME:-$HOME/.cache}/nearmetal";'
    " id -u; sudo -n true 2> /dev/null && echo sudo || echo none"
)

_UNPACKED = 5  # disk needed for the archive and its content, as a multiple of the archive


class Engine:
    """The machines of one testbed."""

    def __init__(self) -> None:
        self._en: Any = importlib.import_module("enoslib")
        self._en.set_config(ansible_stdout="noop", ansible_forks=10)
        logging.getLogger().setLevel(logging.ERROR)
        self._provider: Any = None
        self._hosts: dict[str, Any] = {}

    def check(self, provider: str, config: dict[str, Any]) -> Any:
        return configuration(provider, config).to_dict()

    def acquire(self, provider: str, config: dict[str, Any]) -> list[dict[str, Any]]:
        module = importlib.import_module(f"enoslib.infra.{_PROVIDERS[provider][0]}.provider")
        self._provider = getattr(module, _PROVIDERS[provider][1])(configuration(provider, config))
        roles, _ = self._provider.init()
        taken: set[str] = set()
        for name in config["nearmetal_names"]:
            free = [h for h in roles[_role(name, roles)] if h.alias not in taken]
            if not free:
                raise RuntimeError(f"{name}: the provider gave no machine for it")
            self._hosts[name] = free[0]
            taken.add(free[0].alias)
        return [_reach(name, host) for name, host in self._hosts.items()]

    def facts(self, machine: str) -> str:
        return self._command(machine, _FACTS)

    def deploy(self, machine: str, archive: str, folder: str, stamp: str) -> str:
        if self._command(machine, f"test -e '{stamp}' && echo there || true").strip() == "there":
            return "there"
        room = f"mkdir -p '{folder}' && df -Pk '{folder}' | tail -n 1"
        free = int(self._command(machine, room).split()[3]) << 10
        needed = Path(archive).stat().st_size * _UNPACKED
        if free < needed:
            raise RuntimeError(
                f"{machine}: its disk is full: {free >> 20} MiB are free at {folder}, and"
                f" {(needed >> 20) + 1} wanted; free some, then start again"
            )
        with self._en.actions(roles=self._of(machine), gather_facts=False) as play:
            play.copy(src=archive, dest=f"{folder}.tar.gz", task_name="send")
        self._command(
            machine,
            f"tar -xzf '{folder}.tar.gz' -C '{folder}' && rm '{folder}.tar.gz' && touch '{stamp}'",
        )
        return "sent"

    def fetch(self, machine: str, path: str, to: str) -> None:
        with self._en.actions(roles=self._of(machine), gather_facts=False) as play:
            play.fetch(src=path, dest=to, flat=True, task_name="fetch")

    def release(self) -> None:
        if self._provider is not None:
            self._provider.destroy()
        self._provider, self._hosts = None, {}

    def _of(self, machine: str) -> Any:
        return self._en.Roles({machine: [self._hosts[machine]]})

    def _command(self, machine: str, command: str) -> str:
        results = self._en.run_command(
            command,
            roles=self._of(machine),
            gather_facts=False,
            on_error_continue=True,
            task_name=machine,
        )
        result = results[0] if results else None
        if result is None or result.status == "UNREACHABLE":
            why = result.payload.get("msg", "") if result else "no result"
            raise RuntimeError(f"{machine}: cannot be reached by SSH: {_line(why)}")
        said = result.payload
        if said.get("rc") != 0:
            keys = ("module_stderr", "module_stdout", "stderr", "stdout", "msg")
            why = next((said[key] for key in keys if said.get(key)), "")
            raise RuntimeError(f"{machine}: {_line(why)}")
        return str(said["stdout"])


def configuration(provider: str, config: dict[str, Any]) -> Any:
    """Return the provider's configuration, checked by EnOSlib."""
    module = importlib.import_module(f"enoslib.infra.{_PROVIDERS[provider][0]}.configuration")
    own = {key: value for key, value in config.items() if key != "nearmetal_names"}
    return module.Configuration.from_dictionary(own)


def _role(name: str, roles: Any) -> str:
    """Return the machine's role: its name, or its kind if the provider has one role for all."""
    return name if name in roles else name.rstrip("0123456789")


def _reach(name: str, host: Any) -> dict[str, Any]:
    return {
        "name": name,
        "address": host.address,
        "user": host.user,
        "port": host.port,
        "key": host.keyfile,
        "options": host.extra.get("ansible_ssh_common_args", ""),
    }


def _line(text: str) -> str:
    """Return the end of a tool's output as one line."""
    return " ".join(str(text).split())[-300:] or "no output"


def serve(requests: IO[str], answers: IO[str]) -> None:
    """Answer requests until the input ends; then release what was acquired."""
    engine = Engine()
    try:
        for line in requests:
            try:
                asked = json.loads(line)
                operation = getattr(engine, asked.pop("op"))
                answer = {"ok": operation(**asked)}
            except Exception as error:  # the other side reports any error
                answer = {"error": f"{_line(str(error) or type(error).__name__)}"}
            print(json.dumps(answer), file=answers, flush=True)
    finally:
        engine.release()


if __name__ == "__main__":
    # From here on, text that code prints to stdout goes to stderr, out of the protocol.
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    os.environ.update(_ANSIBLE)  # Ansible reads these when it is imported
    serve(sys.stdin, pipe)
