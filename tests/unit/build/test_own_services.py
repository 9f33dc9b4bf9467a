"""Users' services in the native build: what is written, and what of it stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nearmetal.build import own_services
from nearmetal.errors import CannotRunError
from nearmetal.service.compile.plan import Compiled
from nearmetal.service.load import Loaded
from nearmetal.spec import own_service, services
from nearmetal.spec.services import ServiceRow

TEXT = """
from nearmetal.service import *
service = Service("mine", port=7000, id=Id(0, 0), request_bytes_min=2)
def answer(request, reply, state, source, now_ns):
    return copy(reply, 0, request, 0, len(request))
def requests():
    return [b"abcd"]
"""


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(services, "_OWN", {})
    yield


@pytest.fixture
def rows(tmp_path: Path) -> tuple[ServiceRow, ...]:
    (tmp_path / "mine.py").write_text(TEXT)
    (tmp_path / "mine.c").write_text("/* */\n")
    return own_service.read([tmp_path / "mine.py", tmp_path / "mine.c"], {})


def made(loaded: Loaded, kept: Path, *, checked: bool = True) -> Compiled:
    return Compiled(b"object", (loaded.path.name,), has_prepare=False, stack_bytes=64, lacks=())


def test_both_languages_have_a_line_and_a_folder(
    tmp_path: Path, rows: tuple[ServiceRow, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_services, "compiled", made)
    pytest.importorskip("numba")
    folder = tmp_path / "services"
    built, missing = own_services.write(folder, rows)
    assert set(built) == {"mine", "minec"} and not missing
    lines = (folder / "table").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["mine", "minec"]
    assert (folder / "mine/service.o").read_bytes() == b"object"
    assert (folder / "minec/service.c").read_text() == f'#include "{tmp_path / "mine.c"}"\n'
    assert not (folder / "minec/service.o").exists()
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    own_services.write(folder, rows)
    assert times == {path: path.stat().st_mtime_ns for path in times}
    own_services.write(folder, ())
    assert (folder / "table").read_text() == ""


def test_what_cannot_be_compiled_here_is_missing(
    tmp_path: Path, rows: tuple[ServiceRow, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(loaded: Loaded, kept: Path, *, checked: bool = True) -> Compiled:
        raise CannotRunError("numba is missing")

    monkeypatch.setattr(own_services, "compiled", refused)
    built, missing = own_services.write(tmp_path / "services", rows)
    assert set(built) == {"minec"} and missing == {"mine": "numba is missing"}


def test_a_program_stays_when_the_next_build_removes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_services, "KEPT_MAX", 2)
    program = tmp_path / "nm-sock-mine"
    found = []
    for content in (b"one", b"two", b"three"):
        program.write_bytes(content)
        program.chmod(0o755)
        found.append(own_services.keep(tmp_path / "kept", program))
        program.unlink()
    assert found[2].read_bytes() == b"three" and found[2].stat().st_mode & 0o111
    assert found[1].read_bytes() == b"two" and found[1].name == "nm-sock-mine"
    assert len(list((tmp_path / "kept/programs").iterdir())) == 2
