"""A service of one's own, as docs/services.md leads to it: written, tried, measured, served, asked,
and booted as a unikernel. The page's commands run in order, in a folder of links to the clone."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_documents import environment, linked, prints_as_shown

import documents
import tool
from documents import Block
from nearmetal.dut import available
from nearmetal.paths import source_root
from nearmetal.spec.rungs import find

PAGE, OWN = "docs/services.md", "tests/smoke/test_services_page.py"
SHORT = """
service = "{service}"
rungs = {rows}
window = 16
rounds = 1
warmup_s = 0.1
measured_s = 0.3
"""
EXAMPLES = source_root() / "examples"

pytestmark = [pytest.mark.rung("documents"), pytest.mark.timeout(tool.RUN_S)]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with links to all of the clone; the page's files stay in it."""
    return linked(tmp_path_factory.mktemp("clone"))


def block(begins: str) -> Block:
    """Return the block of the page that begins so, after the marker of the name ./nearmetal."""
    (found,) = (
        each for each in documents.blocks(PAGE) if each.text.startswith(f"./nearmetal {begins}")
    )
    assert found.words == OWN
    return found


def typed(clone: Path, begins: str) -> str:
    """Run a block to its end; compare what it prints with what the page shows."""
    shown = block(begins)
    with started(clone, shown.text) as running:
        said = running.communicate(timeout=tool.RUN_S)[0]
    tool.skip_where_busy(said)
    assert running.returncode == 0, said
    prints_as_shown(shown, said)
    return said


@contextmanager
def started(clone: Path, line: str) -> Iterator[tool.Started]:
    """Start a shell's command as a reader types it; end it with the body."""
    with subprocess.Popen(
        ["bash", "-e", "-c", f"exec {line}"],
        cwd=clone,
        env=environment(clone),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def read_until(running: tool.Started, word: str) -> str:
    """Return the output up to a line with the word."""
    assert running.stdout is not None
    said = ""
    for line in running.stdout:
        said += line
        if word in line:
            return said
    pytest.fail(f"it ended without {word}: {said}")


def test_every_block_of_the_page_is_run_here() -> None:
    ours = [each for each in documents.blocks(PAGE) if each.words == OWN]
    run = ["new", "check", "list", "bench", "serve", "load", "image"]
    assert [each.text.split()[1].partition("-")[0] for each in ours] == run


def test_it_is_written_and_tried(clone: Path) -> None:
    typed(clone, "new-service")
    typed(clone, "check-service")
    said = typed(clone, "list --service")
    assert "host-py" in said and "memcached" not in said


def test_it_is_measured(clone: Path) -> None:
    said = typed(clone, "bench --service greeter.py")
    assert all(name in said for name in ("host-py", "host-mmsg", "ukp-netdev", "greeter.py"))
    (folder,) = (path for path in (clone / "runs").iterdir() if path.name.endswith("-service"))
    report = json.loads((folder / "report.json").read_text())
    assert {row["rung"]: row["wrong"] for row in report["rows"] if row["status"] == "ok"}
    assert not any(row["wrong"] for row in report["rows"])
    built = json.loads((folder / "build.json").read_text())["services"]["greeter"]
    assert set(built["hashes"]) == {"greeter.py"} and built["checked"] and built["stack_bytes"] >= 0
    page = (folder / "report.html").read_text()
    assert "36 requests of" in page and "keys (Zipf" not in page


def test_it_is_served_and_asked(clone: Path) -> None:
    with started(clone, block("serve").text) as serving:
        said = read_until(serving, "Ctrl-C")
        line = next(each for each in said.splitlines() if "try it: " in each).partition("it: ")[2]
        asked = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
        assert asked.stdout.startswith("b'\\x00\\x00\\x00\\x00\\x00\\x04")
        answered = typed(clone, "load")
        assert ", 0 wrong" in answered and "right answers" in answered
        serving.send_signal(signal.SIGINT)
        said = serving.communicate(timeout=tool.LONG_S)[0]
    assert serving.returncode == 0 and "requests answered" in said


def test_it_boots(clone: Path) -> None:
    if (reason := available.why_not(find("uk-netdev"))) is not None:
        pytest.skip(f"uk-netdev: {reason}")
    said = typed(clone, "image")
    lines = dict(each.split(": ", 1) for each in said.splitlines() if ": " in each)
    with started(clone, lines["boot it"]) as machine:
        read_until(machine, '"ready"')
        words = ["bash", "-c", lines["ask it"].strip()]
        asked = subprocess.run(words, capture_output=True, text=True, check=False)
        assert asked.stdout.startswith("b'\\x00\\x00\\x00\\x00\\x00\\x04"), asked.stderr
        machine.send_signal(signal.SIGINT)
        machine.communicate(timeout=tool.LONG_S)


def measured(tmp_path: Path, service: str, rows: list[str], *words: str) -> dict[str, int]:
    """Run a short spec; return the wrong answers of each row that is ok."""
    spec = tmp_path / "own.toml"
    spec.write_text(SHORT.format(service=service, rows=json.dumps(rows)))
    tool.bench(spec, tmp_path / "run", *words)
    found = tool.rows(tmp_path / "run")
    assert all(row["status"] == "ok" for row in found.values()), found
    return {" ".join(name): row["wrong"] for name, row in found.items()}


def test_two_services_in_one_run(tmp_path: Path) -> None:
    """One from Python and its twin in C, beside one of the table."""
    files = [EXAMPLES / "mirror.py", EXAMPLES / "mirror.c"]
    words = [word for each in files for word in ("--service", str(each))]
    rows = ["host-sock", "ukp-netdev"]
    short = ["--rungs", "host-sock,ukp-netdev,host-sock:echo"]
    done = measured(tmp_path, "", rows, *words, *short)
    assert done == dict.fromkeys(
        [
            *("host-sock mirror", "host-sock mirrorc", "host-sock echo"),
            *("ukp-netdev mirror", "ukp-netdev mirrorc"),
        ],
        0,
    )


def test_a_spec_names_a_service_with_state(tmp_path: Path) -> None:
    rows = ["host-py", "host-mmsg", "host-mmsg-plain:kv"]
    done = measured(tmp_path, str(EXAMPLES / "seen.py"), rows)
    assert done == {"host-py seen": 0, "host-mmsg seen": 0, "host-mmsg-plain kv": 0}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("bench --service none.py", "none.py"),
        ("bench --service-arg a=1", "--service-arg: only with --service FILE"),
        ("build --unchecked", "--unchecked: only with --service FILE"),
        ("bench --service {hello} --service-arg a=1", "--service-arg a: this service takes no arg"),
        ("bench --service {hello} --rungs memcached", "no row of service can serve it"),
        ("bench --service {hello} --rungs host-mmsg:kvv", "host-mmsg has no service 'kvv'"),
        ("serve host-py --service {mirror_c}", "host-py cannot serve mirrorc, which is in C"),
        ("load 127.0.0.1:1 --service hello", "give kv or echo, or a file of your own"),
        ("image host-mmsg --service {hello}", "host-mmsg is not an image that a machine boots"),
        ("image uk-netdev --service {hello} --out /nowhere/x", "/nowhere/x"),
    ],
)
def test_what_cannot_be_is_one_line(words: str, says: str) -> None:
    files = {"hello": str(EXAMPLES / "hello.py"), "mirror_c": str(EXAMPLES / "mirror.c")}
    done = tool.run(*shlex.split(words.format(**files)))
    assert done.returncode != 0 and says in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr.strip().splitlines()) == 1
