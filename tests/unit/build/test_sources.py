"""lwIP's source: private package lists made from the machine's, and the files unpacked."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
from pathlib import Path

import pytest

from nearmetal.build import fetched, programs, sources
from nearmetal.errors import CannotRunError

ONE_LINE = """\
# a comment: deb http://no.where/ x main
deb http://mirror.example/debian bookworm main contrib
  deb [arch=amd64 signed-by=/usr/share/keyrings/a.gpg] http://mirror.example/debian-security s main
#deb http://mirror.example/off bookworm main
deb-src http://mirror.example/debian bookworm main contrib

"""
DEB822 = """\
Types: deb
# a comment between two fields
URIs: http://mirror.example/debian
Suites: trixie trixie-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 Types: deb
 -----END PGP PUBLIC KEY BLOCK-----

types: deb
 deb-src
Enabled: no
URIs: http://mirror.example/off
Suites: x
Components: main
"""


def _lists(folder: Path, **texts: str) -> list[Path]:
    paths = [folder / name.replace("__", ".") for name in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        path.write_text(text, encoding="utf-8")
    return paths


def test_one_line_lists_become_lists_of_sources(tmp_path: Path) -> None:
    ((name, text),) = sources.source_lists(_lists(tmp_path, sources__list=ONE_LINE))
    assert name.endswith(".list")
    assert text.splitlines() == [
        "deb-src http://mirror.example/debian bookworm main contrib",
        "deb-src [arch=amd64 signed-by=/usr/share/keyrings/a.gpg] "
        "http://mirror.example/debian-security s main",
    ]


def test_stanzas_become_stanzas_of_sources(tmp_path: Path) -> None:
    ((name, text),) = sources.source_lists(_lists(tmp_path, debian__sources=DEB822))
    assert name.endswith(".sources")
    kept = DEB822.replace("types: deb\n deb-src\n", "Types: deb-src\n")
    assert text == kept.replace("Types: deb\n#", "Types: deb-src\n#")


def test_what_apt_does_not_read_is_left_out(tmp_path: Path) -> None:
    texts = {"a__list__disabled": ONE_LINE, "b__sources__bak": DEB822, "README": ONE_LINE}
    assert list(sources.source_lists(_lists(tmp_path, **texts))) == []
    assert list(sources.source_lists([tmp_path / "gone.list"])) == []


def test_two_files_of_one_name_both_count(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    paths = _lists(tmp_path, sources__list=ONE_LINE)
    paths += _lists(tmp_path / "parts", sources__list=ONE_LINE)
    names = [name for name, _ in sources.source_lists(paths)]
    assert len(set(names)) == 2


def _archive(path: Path, members: dict[str, bytes | None]) -> Path:
    """Write an archive; None as content: a link to /etc/passwd."""
    with tarfile.open(path, "w:xz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            if content is None:
                member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return path


def test_only_what_is_compiled_is_unpacked(tmp_path: Path) -> None:
    members: dict[str, bytes | None] = {
        "lwip-2.1.3/src/core/udp.c": b"udp",
        "lwip-2.1.3/src/include/lwip/udp.h": b"header",
        "lwip-2.1.3/src/apps/http/fs.c": b"no",
        "lwip-2.1.3/src/core/linked.c": None,
        "lwip-2.1.3/COPYING": b"licence",
        "/etc/src/core/x.c": b"no",
    }
    sources.unpack(_archive(tmp_path / "a.tar.xz", members), tmp_path / "out")
    found = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")}
    assert found == {"src/core/udp.c", "src/include/lwip/udp.h"}
    assert (tmp_path / "out/COPYING").read_bytes() == b"licence"


@pytest.mark.parametrize(
    "name", ["lwip/src/core/../../../x.c", "lwip/src/include/a/../../../../x.h"]
)
def test_nothing_is_unpacked_outside(name: str, tmp_path: Path) -> None:
    archive = _archive(tmp_path / "a.tar.xz", {name: b"out"})
    with pytest.raises(CannotRunError, match="no plain file"):
        sources.unpack(archive, tmp_path / "deep" / "out")
    assert not list(tmp_path.rglob("x.*"))


def test_an_archive_without_sources_is_told(tmp_path: Path) -> None:
    archive = _archive(tmp_path / "a.tar.xz", {"lwip/README": b""})
    with pytest.raises(CannotRunError, match="holds no sources"):
        sources.unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("kind", ["SHA256", "SHA512"])
def test_another_hash_is_refused(kind: str, tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.xz"
    archive.write_bytes(b"right")
    digest = hashlib.new(kind.lower(), b"right").hexdigest()
    sources.check_hash(archive, f"{kind}:{digest}")
    archive.write_bytes(b"wrong")
    with pytest.raises(CannotRunError, match="does not have the hash"):
        sources.check_hash(archive, f"{kind}:{digest}")


@pytest.fixture
def no_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sources.shutil, "which", lambda name: name if name != "apt-get" else None)


@pytest.mark.usefixtures("no_apt")
def test_without_a_source_the_rows_say_why() -> None:
    for program in ("nm-ukp-lwip-kv", "nm-uk-lwip-echo"):
        assert "no apt-get" in str(programs.why_not(program))
        with pytest.raises(CannotRunError, match="no apt-get"):
            programs.foreign(program)
    assert programs.why_not("nm-sock-kv") is None
    with pytest.raises(CannotRunError, match="no apt-get"):
        sources.provide(sources.LWIP)


def test_a_failed_fetch_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sources.shutil, "which", lambda name: name)

    def refused(*_: object, **__: object) -> str:
        raise CannotRunError("E: Failed to fetch")

    monkeypatch.setattr(fetched, "run", refused)
    with pytest.raises(CannotRunError, match=r"could not be fetched: E: Failed to fetch"):
        sources.provide(sources.LWIP)
    programs._fetch(lambda _: None, lwip=True, linux=True)  # the other sources are still fetched
    assert sources.found(sources.LWIP) is None
    with pytest.raises(CannotRunError, match="could not be fetched"):
        programs.foreign("nm-ukp-lwip-kv")
    assert list((tmp_path / "nearmetal").iterdir()) == []


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt-get is not installed")
def test_the_source_comes_from_the_machines_own_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    try:
        folder = sources.provide(sources.LWIP)
    except CannotRunError as error:
        if "hash" in str(error):
            raise
        pytest.skip(f"no package source can be reached: {error}")
    assert folder.is_relative_to(tmp_path)
    assert (folder / "src/core/udp.c").is_file()
    assert sources.found(sources.LWIP) == folder
    assert [path.name for path in (tmp_path / "nearmetal").iterdir()] == ["files"]
