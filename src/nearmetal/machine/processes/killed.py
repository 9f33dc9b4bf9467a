"""Whether the kernel ended a program for want of memory."""

from __future__ import annotations

from pathlib import Path

_ROOT = Path("/")
_MIB = 1 << 20


def out_of_memory(root: Path = _ROOT) -> int:
    """How often that happened since the machine's start (/proc/vmstat), in a memory cgroup too."""
    try:
        lines = (root / "proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def why(before: int, root: Path = _ROOT, less: str = "--memory, keys") -> str:
    """Of a program that SIGKILL ended, or a child of it, with the count from before it was started:
    the cure, where it was for want of memory. less: what may be asked for less by; "": nothing."""
    if out_of_memory(root) == before:
        return ""
    limit = _limit_bytes(root)
    who = "" if limit is None else f" (a memory cgroup allows us {limit // _MIB} MiB)"
    ask = f", or ask for less ({less})" if less else ""
    return f", by the kernel, for want of memory{who}: give it more{ask}"


def _limit_bytes(root: Path) -> int | None:
    """The least that our memory cgroup, or one above it, allows; None: there is no such limit."""
    limits = []
    for folder in _folders(root):
        try:
            text = (folder / "memory.max").read_text(encoding="ascii").strip()
        except OSError:
            continue
        limits += [int(text)] if text.isdecimal() else []
    return min(limits, default=None)


def _folders(root: Path) -> list[Path]:
    """Of our cgroup (cgroups(7), version 2), and of those above it."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    ours = next((line[3:] for line in lines if line.startswith("0::")), "/").strip("/")
    top = root / "sys/fs/cgroup"
    return [top / ours, *(top / each for each in Path(ours).parents)]
