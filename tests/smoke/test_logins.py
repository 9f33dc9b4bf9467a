"""Machines of a testbed with a login that is not root: one that may use sudo, and one that may not.

sudo itself is not tested: a small setuid program replaces it, on the machines of a rehearsal only.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from test_testbed import of_the_document, ours, run_on, why_not

import tool
from nearmetal.machine.journal import open_journal
from nearmetal.machine.processes import owner
from nearmetal.paths import cache_dir
from nearmetal.testbed import rehearsal
from tool import Finished, rows, skip_where_busy

USER, UID = "tester", 12_345
HOME = f"/run/home/{USER}"
SHELL = "/run/bin/shell"
SUDO = r"""
#include <string.h>
#include <unistd.h>

/* sudo -n COMMAND: as root, and with an environment of its own, as sudo's default is. */
int main(int argc, char **argv)
{
    char *clean[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", NULL};

    if (argc < 3 || strcmp(argv[1], "-n") != 0 || setgid(0) != 0 || setuid(0) != 0)
        return 1;
    return execvpe(argv[2], argv + 2, clean);
}
"""
# The set-up is visible at the user's cache path, where the user may write to `deployed` only.
PREPARE = """set -e
mkdir -p "$1/.cache/nearmetal"
mount --bind "$2" "$1/.cache/nearmetal"
mount -t tmpfs -o mode=777 tmpfs "$1/.cache/nearmetal/deployed"
chown "$3" "$1" "$1/.cache"
mkdir /run/bin
printf '#!/bin/sh\nPATH=/run/bin:$PATH exec /bin/sh "$@"\n' > "$4"
chmod 755 "$4"
if [ -n "$5" ]; then
    cp "$5" /run/bin/sudo
    chmod 4755 /run/bin/sudo
fi
"""

pytestmark = [
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
    pytest.mark.timeout(2 * tool.RUN_S),
]


@pytest.fixture
def sudo(tmp_path: Path) -> Path:
    source, program = tmp_path / "sudo.c", tmp_path / "sudo"
    source.write_text(SUDO)
    subprocess.run(["cc", "-D_GNU_SOURCE", "-o", str(program), str(source)], check=True)
    return program


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path | None], Finished]:
    """Return a function that runs the experiment with USER as login; sudo: None for none."""
    environment = os.environ.copy()

    def started(program: Path | None) -> Finished:
        machines = tmp_path / "machines.toml"
        cache = cache_dir()
        (cache / "deployed").mkdir(exist_ok=True)
        with monkeypatch.context() as patch:
            patch.delenv("XDG_CACHE_HOME", raising=False)  # it would be passed to the machines
            with rehearsal.standing(open_journal(), 1) as made:
                _let_in(made, cache, program)
                as_root = of_the_document(made.spec.seats())
                machines.write_text(as_root.replace("key = ", f'user = "{USER}"\nkey = '))
                return run_on(machines, "--rungs", "host-sock,host-dpdk:kv", env=environment)

    return started


def _let_in(made: rehearsal.Rig, cache: Path, program: Path | None) -> None:
    """Make an account on each machine, with its home and its shell."""
    folder = made.keys.folder
    folder.chmod(0o711)  # sshd reads the key with the user's own rights
    for file in owner.state_directory(), folder.parent:
        file.chmod(file.stat().st_mode | 0o011)
    with (folder / "passwd").open("a") as passwd:
        passwd.write(f"{USER}:x:{UID}:{UID}::{HOME}:{SHELL}\n")
    with (folder / "shadow").open("a") as shadow:
        shadow.write(f"{USER}:*:19000:0:99999:7:::\n")
    for pid in made.pids.values():
        inside = ["nsenter", "-t", str(pid), "--mount", "sh", "-c", PREPARE, "sh"]
        words = [HOME, str(cache), str(UID), SHELL, str(program) if program else ""]
        subprocess.run([*inside, *words], check=True)


@pytest.mark.usefixtures("only_full")
def test_a_user_who_may_sudo_is_as_good_as_root(
    run: Callable[[Path | None], Finished], sudo: Path, tmp_path: Path
) -> None:
    done = run(sudo)
    skip_where_busy(done.stderr)
    assert done.returncode == 0, done.stderr
    for name, row in rows(tmp_path / "out").items():
        assert row["status"] == "ok" and row["wrong"] == 0, (name, row["reason"])
    assert not ours(owner.label("rig"))


def test_a_user_who_may_not_is_told_before_anything_is_done(
    run: Callable[[Path | None], Finished], tmp_path: Path
) -> None:
    done = run(None)
    skip_where_busy(done.stderr)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "sut (" in last and "ordinary user" in last and "sudo" in last, done.stderr
    assert "Traceback" not in done.stderr and "deployed" not in done.stderr
    assert not (tmp_path / "out" / "samples.jsonl").exists()
