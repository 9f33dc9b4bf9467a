"""clean: undo what a killed run left; with --all, everything that set-up and build made too."""

from __future__ import annotations

import shutil
import sys

from nearmetal.errors import NearmetalError
from nearmetal.machine.journal import kept, swept
from nearmetal.machine.processes.owner import state_directory
from nearmetal.machine.tune.apply import kept_folder
from nearmetal.paths import cache_dir


def clean(everything: bool) -> None:
    """Print what was done, a line each."""
    done = swept()
    for line in done.undone:
        print(line)
    for line in done.left:
        print(f"left alone: {line}")
    if not (done.undone or done.failed):
        print("nothing was left behind")
    if kept(kept_folder(state_directory())):
        print("what `tune apply` set stays until `tune restore`")
    if everything:
        _remove_cache()
    if done.failed:
        raise NearmetalError("; ".join(done.failed))


def _remove_cache() -> None:
    """The cache holds the venv we run in: nothing may be imported behind this."""
    cache = cache_dir()
    packages = cache / "packages"
    if packages.is_file():
        names = sorted(set(packages.read_text(encoding="utf-8").split()))
        print("set-up installed these system packages; they stay, remove them with apt-get purge:")
        print("  " + " ".join(names))
    if cache.is_dir():
        shutil.rmtree(cache)
        print(f"removed {cache}", file=sys.stdout, flush=True)
