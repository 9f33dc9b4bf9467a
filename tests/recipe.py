"""A Containerfile followed by hand: its instructions as a script for a bare machine.

Only the instructions that our file uses are known; any other is an error, so that none is skipped.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

_TOLD = ("EXPOSE", "STOPSIGNAL")  # information for the engine, without effect on the image


class RecipeError(Exception):
    """An unknown instruction."""


@dataclass
class Recipe:
    """The image that an engine would make."""

    base: str = ""
    script: list[str] = field(default_factory=list)  # commands for a shell, which build the image
    environment: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)

    def builds(self, context: str, ignored: Sequence[str]) -> str:
        """Return a script that builds the image, for root on the base. context: the source tree."""
        copied = " ".join(f"--exclude={shlex.quote(f'./{name}')}" for name in ignored)
        given = {"CONTEXT": context, "IGNORED": f"--anchored {copied}"}
        told = [f"export {name}={shlex.quote(value)}" for name, value in given.items()]
        return "\n".join(["set -e", *told, *self.script])

    def runs(self, *words: str) -> str:
        """Return the command of the container's process. words: replacement for CMD."""
        told = [f"{name}={value}" for name, value in self.environment.items()]
        line = ["env", *told, *self.entrypoint, *(words or self.command)]
        return f"cd {shlex.quote(self.folder)} && exec {shlex.join(line)}"


def parse(text: str) -> Recipe:
    """Parse a Containerfile. Raises RecipeError for an unknown instruction."""
    made = Recipe()
    for name, rest in _instructions(text):
        _follow(made, name, rest)
    return made


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    without = "\n".join(line for line in text.splitlines() if not re.match(r"\s*(#|$)", line))
    for line in re.sub(r"\\\n", " ", without).splitlines():
        name, _, rest = line.strip().partition(" ")
        yield name, rest.strip()


def _follow(made: Recipe, name: str, rest: str) -> None:
    if name == "FROM":
        made.base = rest
    elif name in ("ARG", "ENV"):
        key, value = _pair(rest)
        made.script.append(f"export {key}={shlex.quote(value)}")
        if name == "ENV":
            made.environment[key] = value
    elif name == "WORKDIR":
        made.folder = rest
        made.script.append(f"mkdir -p {shlex.quote(rest)} && cd {shlex.quote(rest)}")
    elif name == "COPY" and rest == ". .":
        made.script.append('tar -C "$CONTEXT" $IGNORED -c . | tar --no-same-owner -x')
    elif name == "RUN":
        made.script.append(f"sh -c {shlex.quote(rest)}")
    elif name == "ENTRYPOINT":
        made.entrypoint = json.loads(rest)
    elif name == "CMD":
        made.command = json.loads(rest)
    elif name not in _TOLD:
        raise RecipeError(f"{name} {rest}")


def _pair(rest: str) -> tuple[str, str]:
    words = shlex.split(rest)
    key, is_one, value = words[0].partition("=")
    if len(words) != 1 or not is_one:
        raise RecipeError(f"only one NAME=VALUE is supported: {rest}")
    return key, value
