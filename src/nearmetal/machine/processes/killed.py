"""Whether the kernel killed a program because memory ran out."""

from __future__ import annotations

from pathlib import Path

_ROOT = Path("/")
_MIB = 1 << 20


def out_of_memory(root: Path = _ROOT) -> int:
    """Return how many processes the kernel killed for lack of memory since boot (/proc/vmstat).

    Kills in a memory cgroup are included.
    """
    try:
        lines = (root / "proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def why(before: int, root: Path = _ROOT, less: str = "--memory, keys") -> str:
    """Return cause and cure if the kernel killed a program, or its child, for memory; else "".

    before: out_of_memory() before the program started. less: the options with which a user can
    request less memory; "": none.
    """
    if out_of_memory(root) == before:
        return ""
    limit = _limit_bytes(root)
    who = "" if limit is None else f" (the limit of our memory cgroup is {limit // _MIB} MiB)"
    ask = f", or request less ({less})" if less else ""
    return f", by the kernel, which ran out of memory{who}: give more memory{ask}"


def _limit_bytes(root: Path) -> int | None:
    """Return the smallest limit of our memory cgroup and those above it, or None."""
    limits = []
    for folder in _folders(root):
        try:
            text = (folder / "memory.max").read_text(encoding="ascii").strip()
        except OSError:
            continue
        limits += [int(text)] if text.isdecimal() else []
    return min(limits, default=None)


def _folders(root: Path) -> list[Path]:
    """Return the folders of our cgroup (cgroups(7), version 2) and of those above it."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    ours = next((line[3:] for line in lines if line.startswith("0::")), "/").strip("/")
    top = root / "sys/fs/cgroup"
    return [top / ours, *(top / each for each in Path(ours).parents)]
