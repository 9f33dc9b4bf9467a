"""Another revision's tree: which one is meant, and which of its programs replace ours."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from nearmetal.build import against, programs
from nearmetal.build.programs import Build, Program
from nearmetal.errors import BadInputError, NearmetalError
from nearmetal.spec.experiment import Spec, SpecRung, Workload
from nearmetal.spec.rungs import Rung, find

# An older tree: it has no lwip_dir, and only nm-sock-kv.
MESON = """project('nearmetal', 'c')
isa = 'x86-64-v2'
executable('nm-sock-kv', 'x.c')
"""


def git(root: Path, *words: str) -> str:
    who = ("-c", "user.name=made", "-c", "user.email=made@example.org")
    done = subprocess.run(
        ["git", "-C", str(root), *who, *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def commit(root: Path, text: str) -> str:
    (root / "x.c").write_text(text)
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", text)
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone in place of ours, with two commits; the first has no nearmetal."""
    root = tmp_path / "clone"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    commit(root, "first")
    (root / "meson.build").write_text(MESON)
    commit(root, "int main(void) { return 0; }\n")
    monkeypatch.setattr(against, "source_root", lambda: root)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return root


def test_a_revision_is_written_out_once(clone: Path, tmp_path: Path) -> None:
    second = git(clone, "rev-parse", "HEAD")
    commit(clone, "int main(void) { return 7; }\n")
    (clone / "x.c").write_text("not committed")
    tree = against.found("main~1")
    assert (tree.name, tree.commit, tree.dirty) == (second[:10], second, False)
    assert tree.root.is_relative_to(tmp_path / "cache")  # `clean --all` removes it
    assert "return 0" in (tree.root / "x.c").read_text()
    (tree.root / "kept").touch()
    assert against.found(second[:12]) == tree
    assert (tree.root / "kept").exists()
    assert [path.name for path in tree.root.parent.iterdir() if path.is_dir()] == [second]


def test_a_folder_is_taken_as_it_is(clone: Path) -> None:
    head = git(clone, "rev-parse", "HEAD")
    assert against.found(str(clone)) == against.Tree(clone, head[:10], head, dirty=False)
    (clone / "x.c").write_text("changed")
    tree = against.found("clone")  # relative to the working directory
    assert (tree.root, tree.name, tree.dirty) == (clone, f"{head[:10]}-dirty", True)


def test_a_folder_within_another_clone_has_no_commit(clone: Path) -> None:
    inner = clone / "unpacked"
    inner.mkdir()
    (inner / "meson.build").write_text(MESON)
    assert against.found(str(inner)) == against.Tree(inner, "unpacked", None, dirty=False)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nope", "--against nope: no revision of this clone, and no folder"),
        ("-x", "--against -x: no revision of this clone"),
        ("", "--against : no revision of this clone"),
        ("cache/..", "no revision of this clone, and a folder without nearmetal"),
        ("main~1", "holds no programs of nearmetal"),
        ("HEAD:x.c", "no revision of this clone"),
    ],
)
def test_what_is_no_tree_is_told_in_a_line(
    text: str, says: str, clone: Path, tmp_path: Path
) -> None:
    (tmp_path / "cache").mkdir()
    with pytest.raises(BadInputError) as told:
        against.found(text)
    assert says in str(told.value) and "\n" not in str(told.value)


def test_where_git_is_missing_that_is_told(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(BadInputError, match="git is missing to find a revision; install git"):
        against.found("HEAD")
    assert against.found(str(clone)).root == clone


def test_without_git_only_folders_can_be_named(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(against, "source_root", lambda: clone / "unpacked")
    with pytest.raises(BadInputError, match="is no git clone, so it has no revisions"):
        against.found("HEAD")
    assert against.found(str(clone)).root == clone


@pytest.mark.parametrize(
    ("rung", "names"),
    [
        ("host-mmsg", ["nm-mmsg-kv"]),
        ("ukp-netdev", ["nm-ukp-netdev-kv", "nm-tender"]),
        ("guest-sock", ["nm-guest-sock-kv", "nm-guest-init"]),
        ("uk-netdev", ["nm-uk-netdev-kv"]),
        ("limit-uk", ["nm-uk-limit"]),
        ("memcached", []),
        ("testpmd", []),
        ("host-py", []),
        ("uk-dpdk", ["nm-uk-dpdk-kv"]),
    ],
)
def test_what_of_a_row_is_under_test(rung: str, names: list[str]) -> None:
    assert against.under_test(find(rung), "kv") == names


def test_a_null_responder_is_asked_by_each_tree_s_own_generator(clone: Path) -> None:
    assert against.generators(find("host-mmsg")) == []
    assert against.generators(find("ceiling")) == ["nm-load-vhost"]
    assert against.generators(find("limit-veth")) == ["nm-load", "nm-load-xdp"]
    theirs = {
        name: Program(path=f"/theirs/{name}", image_bytes=1, sha256="0")
        for name in ("nm-null-xdp", "nm-load")
    }
    other = ours().model_copy(update={"name": "0123abcd", "programs": theirs})
    both = {name: Program(path=f"/ours/{name}", image_bytes=1, sha256="0")
            for name in ("nm-null-xdp", "nm-load", "nm-load-xdp")}  # fmt: skip
    build = ours().model_copy(update={"programs": both, "against": other})
    mixed = against.swapped(build, find("limit-veth"), "echo").programs
    assert mixed == theirs  # not our nm-load-xdp
    of_a_row = against.swapped(build, find("host-mmsg"), "kv").programs
    assert of_a_row == both


def test_a_null_responder_without_the_other_s_generator_has_no_pair(clone: Path) -> None:
    chosen = Spec(
        name="made",
        workload=Workload(keys=1000),
        rungs=(SpecRung(rung=find("limit-veth"), services=("echo",), rounds=1),),
    )
    build = against.beside(ours(), against.found("HEAD"), chosen, lambda _: None)
    assert "is not in this build" in str(against.pairs(chosen, build)["limit-veth", "echo"])


def test_a_foreign_image_is_the_same_on_both_sides() -> None:
    assert against.under_test(Rung(name="mine", place="image", datapath=None), "kv") == []


def ours() -> Build:
    names = ("nm-load", "memcached", "nm-sock-kv", "nm-mmsg-kv")
    made = {name: Program(path=f"/ours/{name}", image_bytes=1, sha256="0") for name in names}
    return Build(
        compiler="", flags="", isa="", commit=None, dirty=True, folder="", programs=made, missing={}
    )


def spec(*rungs: str) -> Spec:
    rows = (SpecRung(rung=find(name), services=("kv",), rounds=1) for name in rungs)
    return Spec(name="made", workload=Workload(keys=1000), rungs=tuple(rows))


def test_only_what_is_under_test_is_the_others(clone: Path) -> None:
    chosen = spec("memcached", "host-sock", "host-mmsg")
    assert against.pairs(chosen, ours()) == {}
    build = against.beside(ours(), against.found("HEAD"), chosen, lambda _: None)
    other, head = build.against, git(clone, "rev-parse", "HEAD")
    assert other is not None and build.programs == ours().programs
    assert (other.name, other.commit, other.dirty) == (head[:10], head, False)
    assert other.programs.keys() == {"nm-sock-kv"}
    mixed = against.swapped(build, find("host-sock"), "kv")
    assert mixed.name == head[:10]
    assert mixed.programs["nm-sock-kv"] == other.programs["nm-sock-kv"]
    assert mixed.programs["nm-load"] == ours().programs["nm-load"]
    found = against.pairs(chosen, build)
    assert found["host-sock", "kv"] is None
    assert found["host-mmsg", "kv"] == f"{head[:10]}: nm-mmsg-kv is not in this build"
    assert str(found["memcached", "kv"]).startswith("no program of it is compiled")


def test_a_tree_that_does_not_build_is_named(
    clone: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = commit(clone, "int main(void) { return nothing; }\n")
    with pytest.raises(NearmetalError, match=f"--against {broken[:10]}: cannot build"):
        against.beside(ours(), against.found("HEAD"), spec("host-sock"), lambda _: None)
    assert "nothing" in capfd.readouterr().err


def test_two_trees_do_not_share_a_build_folder(clone: Path) -> None:
    folders = {programs.build_dir("normal", tree) for tree in (None, clone, clone / "other")}
    assert len(folders) == 3
