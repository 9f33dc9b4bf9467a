"""Generators and servers of the build with sanitizers, as the tests of the generator start them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tool import sanitized_path as program


def lcores(threads: int) -> list[str]:
    """Return the option for that many threads; skip if there are fewer cores."""
    cores = sorted(os.sched_getaffinity(0))[:threads]
    if len(cores) < threads:
        pytest.skip(f"{threads} cores are needed")
    return ["--lcores", ",".join(map(str, cores))] if threads > 1 else []


@contextmanager
def server(
    name: str, listen: str = "127.0.0.1:0", memory: str = "64MiB"
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a server; yield it and its address."""
    command = [program(name), "--listen", listen, "--memory", memory]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())["listen"]
        finally:
            process.terminate()


@contextmanager
def load(*options: str) -> Iterator[subprocess.Popen[str]]:
    """Run a generator, which has ended when this returns."""
    with subprocess.Popen(
        [program("nm-load"), *options], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
            process.wait()
        finally:
            process.terminate()


def run(*options: str) -> list[dict[str, Any]]:
    """Return all events of the generator until it ends."""
    done = subprocess.run(
        [program("nm-load"), *options], capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def event(events: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (found,) = [entry for entry in events if entry["event"] == name]
    return found


def until(process: subprocess.Popen[str], name: str) -> list[dict[str, Any]]:
    """Return its events up to and including this one."""
    told: list[dict[str, Any]] = []
    assert process.stdout is not None
    for line in process.stdout:
        told.append(json.loads(line))
        if told[-1]["event"] == name:
            return told
    raise AssertionError(f"nm-load ended without the event {name}: {told}")
