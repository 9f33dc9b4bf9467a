"""The examples, compiled: the servers of every rung answer as CPython does, which is asked too."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

pytest.importorskip("numba")

from framed import Framed, skip_where_missing
from library import Library
from targets import LOOPBACK, ON_FRAMES, ON_SOCKETS, OPEN, Guard, Program
from users import Built, asked, configured

from made_requests import made
from nearmetal.build import meson
from nearmetal.service.corpus import Case, cases_of, check, corpus
from nearmetal.spec import rungs
from nearmetal.spec.programs import program_of

ROOT = Path(__file__).resolve().parents[2]
NAMES = tuple(sorted(path.stem for path in (ROOT / "examples").glob("*.py")))
MOST = NAMES[-1]  # its state and table depend on all requests before
SOME, MANY = 500, 20_000
TENDED = "ukp-netdev"
FAULTY = """from faulty_numbers import inverse

from nearmetal.service import Id, Service

service = Service("faulty", port=7009, id=Id(at=0, reply_at=0), request_bytes_min=3)


def answer(request, reply, state, source, now_ns):
    if request[2] == 1:
        return request[1_000]
    if request[2] == 2:
        return inverse(request[2])
    if request[2] == 3:
        assert request[2] == 4, "three"
    if request[2] == 4:
        raise ValueError("four")
    if request[2] == 5:
        return 5_000
    reply[0] = request[0]
    reply[1] = request[1]
    return 9
"""
NUMBERS = """def inverse(number):
    return 1 // (number - 2)
"""
WORDS = ("index_error", "zero_division", "assert_error", "raised", "bad_return")
LINES = (10, 2, 14, 16, 8)
FILES = ("faulty.py", "faulty_numbers.py", "faulty.py", "faulty.py", "faulty.py")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    made = tmp_path_factory.mktemp("services")
    (made / "faulty.py").write_text(FAULTY)
    (made / "faulty_numbers.py").write_text(NUMBERS)
    files = [*(ROOT / "examples" / f"{name}.py" for name in NAMES), made / "faulty.py"]
    return configured(made, files)


@pytest.mark.parametrize("rung", ["host-sock", "host-mmsg"])
@pytest.mark.parametrize("name", NAMES)
def test_sockets_answer_as_cpython(built: Built, name: str, rung: str) -> None:
    path = built.program(program_of(rungs.find(rung), name))
    with closing(Program([str(path)], OPEN, "127.0.0.1")) as target:
        cases = corpus(built.services[name], trusted=True)
        assert len(cases) > 20
        with asked(target.port) as exchange:
            assert check(cases, exchange) is None
        final = target.final()
    drops = final["drops"]
    assert isinstance(drops, dict)
    wanted = dict.fromkeys(drops, 0)
    for case in cases:
        wanted[case.outcome.drop] += 1
    assert drops == wanted and final["received"] == len(cases)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rung", (*ON_SOCKETS, *ON_FRAMES))
def test_made_requests_are_answered_as_in_cpython(
    built: Built, rung: str, name: str, is_long: bool
) -> None:
    if not is_long and name != MOST and rung not in (ON_SOCKETS[1], ON_FRAMES[1]):
        pytest.skip(f"only with --full: this rung answers {MOST} in the ordinary edition")
    loaded = built.services[name]
    made_up = made(loaded, Random(f"{rung} {name}"), MANY if is_long else SOME)
    cases = cases_of(loaded, [("made up", each) for each in made_up], trusted=True)
    wanted = Counter(case.outcome.drop for case in cases)
    assert len(wanted) > 1
    ask = on_frames if rung in ON_FRAMES else on_sockets
    assert +ask(built, rung, name, cases) == wanted


def on_frames(built: Built, rung: str, name: str, cases: Sequence[Case]) -> Counter[str]:
    """Ask a server of frames; return what it counted."""
    row = rungs.find(rung)
    skip_where_missing(row, name, built.program)
    with closing(Framed(row, name, built.program, OPEN)) as target:
        assert check(cases, target.host.exchange) is None
        return target.drops()


def on_sockets(built: Built, rung: str, name: str, cases: Sequence[Case]) -> Counter[str]:
    """Ask a server on sockets; return what it counted."""
    row = rungs.find(rung)
    assert row.uses is not None
    command = [str(sys.executable), "-m", "nearmetal.kv.server", "--service"]
    command += [str(built.services[name].path)]
    if not row.uses.is_python:
        command = [str(built.program(program_of(row, name))), *row.options()]
    with closing(Program(command, OPEN, "127.0.0.1")) as target:
        with asked(target.port) as exchange:
            assert check(cases, exchange) is None
        drops = target.final()["drops"]
    assert isinstance(drops, dict)
    return Counter(drops)


@pytest.mark.parametrize("name", NAMES)
def test_the_library_answers_as_cpython(built: Built, name: str) -> None:
    path = f"native/service/libnm-{name}.so"
    meson.ninja(built.folder, [path])
    loaded, library = built.services[name], Library(built.folder / path, OPEN)
    made_up = made(loaded, Random(name), MANY)
    for case in cases_of(loaded, [("made up", each) for each in made_up], trusted=True):
        replies, drop = library.handle(case.request, "127.0.0.1")
        assert drop == case.outcome.drop, case
        assert case.wrong(replies[0] if replies else None) is None


def test_a_source_that_is_not_trusted_gets_three_times_its_request(built: Built) -> None:
    guard = Guard(allow=LOOPBACK, admin=LOOPBACK, trusted=("192.0.2.0/24",))
    for name in NAMES:
        path = built.program(f"nm-sock-{name}")
        with closing(Program([str(path)], guard, "127.0.0.1")) as target:
            with asked(target.port) as exchange:
                assert check(corpus(built.services[name]), exchange) is None
            final = target.final()
        drops = final["drops"]
        assert isinstance(drops, dict) and drops["amplify"] == 0  # its room was too short before


KINDS = (1, 2, 3, 4, 5, 5, 4, 3)  # of requests that fail, each in its way
FIRST = [{"word": w, "file": f, "line": n} for w, f, n in zip(WORDS, FILES, LINES, strict=True)]


@pytest.mark.parametrize("rung", ["host-py", "host-mmsg"])
def test_faults_are_counted_with_their_first_lines(built: Built, rung: str) -> None:
    if rung == "host-py":
        path = str(built.services["faulty"].path)
        command = [sys.executable, "-m", "nearmetal.kv.server", "--service", path]
    else:
        command = [str(built.program(program_of(rungs.find(rung), "faulty")))]
    with closing(Program(command, OPEN, "127.0.0.1")) as target:
        with asked(target.port) as exchange:
            for kind in KINDS:
                assert exchange([bytes((0, 1, kind)), bytes((7, 7, 0))]) == b"\7\7" + bytes(7)
        final = target.final()
    drops, first = final["drops"], final["faults"]
    assert isinstance(drops, dict) and isinstance(first, list)
    assert [drops[word] for word in WORDS] == [1, 1, 2, 2, 2]
    places = [{key: one[key] for key in ("word", "file", "line")} for one in first]
    assert places == FIRST, json.dumps(final)


def test_a_tender_prints_the_files_of_faults(built: Built) -> None:
    row = rungs.find(TENDED)
    skip_where_missing(row, "faulty", built.program)
    with closing(Framed(row, "faulty", built.program, OPEN)) as target:
        for kind in KINDS:
            host = target.host
            host.send(host.udp(host.address("127.0.0.1"), bytes((0, 1, kind))), "udp")
            assert host.echo(bytes((7, 7, 0))) == b"\7\7" + bytes(7)
        assert target.dut.counters()["faults"] == FIRST
        assert target.final()["faults"] == FIRST
