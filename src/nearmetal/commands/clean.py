"""clean: undo what a killed run left; with --all also remove what set-up and build made."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator

from nearmetal.errors import NearmetalError
from nearmetal.machine.journal import Swept, kept, swept
from nearmetal.machine.processes.owner import state_directory
from nearmetal.machine.tune.apply import kept_folder
from nearmetal.paths import cache_dir


def clean(everything: bool, *, as_json: bool) -> None:
    """Clean, and print what was done: one line each, or one JSON object.

    Raises NearmetalError when a step failed.
    """
    done = swept()
    stays = bool(kept(kept_folder(state_directory())))
    packages = _packages() if everything else []
    if not as_json:
        for line in _in_words(done, stays, packages):
            print(line)
    removed = _remove_cache() if everything else None
    if as_json:
        print(json.dumps(_as_object(done, stays, packages, removed)), flush=True)
    elif removed is not None:
        print(f"removed {removed}", flush=True)
    if done.failed:
        raise NearmetalError("; ".join(done.failed))


def _in_words(done: Swept, stays: bool, packages: list[str]) -> Iterator[str]:
    yield from done.undone
    for line in done.left:
        yield f"left alone: {line}"
    if not (done.undone or done.failed):
        yield "nothing was left behind"
    if stays:
        yield "what `tune apply` set stays until `tune restore`"
    if packages:
        yield "set-up installed these system packages; they stay, remove them with apt-get purge:"
        yield f"  {' '.join(packages)}"


def _as_object(
    done: Swept, stays: bool, packages: list[str], removed: str | None
) -> dict[str, object]:
    return {
        "undone": done.undone,
        "left_alone": done.left,
        "failed": done.failed,
        "tuned": stays,
        "system_packages": packages,
        "removed": removed,
    }


def _packages() -> list[str]:
    """Return the names of the system packages that set-up installed."""
    packages = cache_dir() / "packages"
    return sorted(set(packages.read_text(encoding="utf-8").split())) if packages.is_file() else []


def _remove_cache() -> str | None:
    """Remove the cache and return its path; None where there is no cache.

    The cache holds the venv that this program runs in: import nothing after this call.
    """
    cache = cache_dir()
    if not cache.is_dir():
        return None
    shutil.rmtree(cache)
    return str(cache)
