"""The image of packaging/Containerfile, built by hand on a bare machine and run as an engine would,
without a network: on sockets without rights, on a tap device with the rights of
docs/packaging.md."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from pathlib import Path

import pytest
from bare import SUITES, Machine, machine, stop, was_refused, why_not

import recipe
from nearmetal.errors import CannotRunError
from nearmetal.paths import source_root
from recipe import Recipe

LIMIT_S = 1800
pytestmark = pytest.mark.timeout(2 * LIMIT_S)
BASES = {"docker.io/library/debian:12-slim": "bookworm"}
RIGHTS = ",+net_admin,+sys_admin,+setuid,+setgid,+kill"
# Starts the container's process, runs the command that it suggests, and ends it like `podman stop`.
SCRIPT = """set -u
setpriv --no-new-privs --inh-caps=-all --bounding-set=-all{rights} \\
    sh -c {process} >said 2>&1 </dev/null &
while ! grep -q 'end it:' said; do
    kill -0 $! || {{ cat said; exit 1; }}
    sleep 0.1
done
sed -n 's/^nearmetal: try it: //p' said | sh
kill -TERM $!
wait $!
status=$?
cat said
exit $status
"""


@pytest.fixture(autouse=True)
def in_the_full_run(is_long: bool) -> None:
    if not is_long:
        pytest.skip("only with --full: a whole image is built")
    if (reason := why_not()) is not None:
        pytest.skip(reason)


def test_the_image_is_made_and_serves(tmp_path: Path) -> None:
    made = recipe.parse((source_root() / "packaging/Containerfile").read_text(encoding="utf-8"))
    suite = next(each for each in SUITES if each.name == BASES[made.base])
    with ExitStack() as stack:
        try:
            bare = stack.enter_context(machine(suite, "root"))
        except CannotRunError as error:
            pytest.skip(str(error))
        ignored = (source_root() / ".dockerignore").read_text(encoding="utf-8").split()
        build = made.builds(f"{bare.home}/nearmetal", ignored)
        run(bare, build, tmp_path / "build", network=True)
        said = run(bare, served(made, ""), tmp_path / "on sockets", network=False)
        assert "VERSION nearmetal-" in said, said
        assert "nearmetal: host-mmsg ended: 1 of 1 requests answered" in said, said
        words = ["ukp-netdev", "--memory", "8MiB"]
        said = run(bare, served(made, RIGHTS, *words), tmp_path / "on a tap", network=False)
        assert "VERSION nearmetal-" in said, said
        assert "nearmetal: ukp-netdev ended: 1 of " in said, said


def served(made: Recipe, rights: str, *words: str) -> str:
    return SCRIPT.format(rights=rights, process=shlex.quote(made.runs(*words)))


def run(bare: Machine, script: str, log: Path, *, network: bool) -> str:
    """Run the script, which must exit with 0; return its output."""
    with ExitStack() as stack:
        running = bare.start(script, stack.enter_context(log.open("wb")), network=network)
        stack.callback(stop, running)
        status = running.wait(LIMIT_S)
    text = log.read_text(encoding="utf-8", errors="replace")
    if was_refused(status):
        pytest.skip(f"no such machine can be made here: {text.strip().splitlines()[-1]}")
    assert status == 0, text
    return text
