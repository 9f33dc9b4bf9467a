"""The packages of set-up, with simulated package tools: what it installs, and what it can miss."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from test_launcher import System, needs_supported

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: otherwise set-up calls sudo")
pytestmark = [needs_supported]
TRY = 'set_up_packages; echo "missing=$missing"'


@pytest.fixture
def system(tmp_path: Path) -> System:
    made = System(tmp_path)
    made.online.touch()
    return made


@needs_root
def test_lists_are_read_before_it_is_known_what_is_missing(system: System) -> None:
    system.lists.unlink()
    done = system.run("test", "--yes")
    asked = system.asked()
    assert asked[0].endswith("update")
    assert "assume-no" in asked[1]
    assert "libclang-rt-14-dev" in asked[1], "its name is found in the lists only"
    assert "libclang-rt-14-dev" in asked[2]
    assert done.stderr.index("reading the package lists") < done.stderr.index("apt-get:")


@needs_root
def test_lists_that_are_there_are_not_read_again(system: System) -> None:
    system.set_up(TRY, groups="python build")
    assert not any(line.endswith("update") for line in system.asked())


@needs_root
def test_a_clang_that_is_there_wants_the_runtime_of_its_version(system: System) -> None:
    system.add(
        "clang",
        'case "$1" in --version) echo "Debian clang version 19.1.7 (3)";; *) echo /no;; esac',
    )
    done = system.set_up("missing_packages", groups="test")
    assert done.stdout.split() == ["libclang-rt-19-dev"]


def test_a_clang_with_its_runtime_wants_nothing(system: System, tmp_path: Path) -> None:
    (tmp_path / "res/lib/linux").mkdir(parents=True)
    (tmp_path / "res/lib/linux/libclang_rt.fuzzer-x86_64.a").touch()
    system.add("clang", f"echo {tmp_path}/res")
    assert system.set_up("missing_packages", groups="test").stdout == ""


@needs_root
def test_a_package_that_no_source_has_is_done_without(system: System) -> None:
    script = "missing_packages() { echo gcc no-such-dev | tr ' ' '\\n'; }\n" + TRY
    done = system.set_up(script, groups="build")
    assert "no package source of this machine has no-such-dev: going on without" in done.stderr
    assert system.asked()[-1].endswith("install gcc")
    assert done.returncode == 0
    assert not (system.cache / "declined").exists()


@needs_root
@pytest.mark.parametrize("lists", [True, False])
def test_without_a_network_it_goes_on_where_it_can(lists: bool, system: System) -> None:
    system.online.unlink()
    if not lists:
        system.lists.unlink()
    script = "missing_packages() { echo clang; }\n" + TRY
    done = system.set_up(script, groups="test", python=sys.executable)
    assert done.returncode == 0
    assert "Failed to fetch it" in done.stderr
    assert "rows that need one of these are skipped: clang" in done.stderr
    assert (system.cache / "declined").read_text() == "clang"


@needs_root
@pytest.mark.parametrize(("package", "what"), [("python3-venv", "Python"), ("gcc", "a C compiler")])
def test_without_a_network_it_ends_where_nothing_works(
    package: str, what: str, system: System
) -> None:
    system.online.unlink()
    done = system.set_up(f"missing_packages() {{ echo {package}; }}\n{TRY}", groups="build")
    assert done.returncode == 1
    assert "Failed to fetch it" in done.stderr
    last = done.stderr.splitlines()[-1]
    assert f"cannot go on without {what}; needed: apt-get install {package}" in last


@needs_root
def test_old_lists_are_read_anew(system: System) -> None:
    """The archive has newer versions: error 404 until the lists are read again."""
    system.add(
        "apt-get",
        'echo "$@" >>"$log"; case "$*" in *assume-no*) exit 1;; *update) : >"$lists.new";;'
        ' *) [ -e "$lists.new" ] || { echo "E: Failed to fetch x  404"; exit 100; };; esac',
    )
    done = system.set_up(TRY, groups="build")
    assert done.returncode == 0, done.stderr
    _, first, update, second = system.asked()
    assert update.endswith("update")
    assert second == first


@needs_root
def test_one_bad_package_costs_only_itself(system: System) -> None:
    system.add(
        "apt-get",
        'echo "$@" >>"$log"; case "$*" in *install*bad*) echo "E: bad is broken"; exit 100;; esac',
    )
    script = "missing_packages() { echo good; echo bad; }\n" + TRY
    done = system.set_up(script, groups="build", python=sys.executable)
    assert done.returncode == 0
    assert "E: bad is broken" in done.stderr
    assert any(line.endswith("install good") for line in system.asked())


@needs_root
def test_an_interrupted_dpkg_is_finished(system: System, tmp_path: Path) -> None:
    words = "E: dpkg was interrupted, you must manually run 'dpkg --configure -a'"
    system.add(
        "apt-get",
        f'echo "$@" >>"$log"; case "$*" in *-y*) [ -e {tmp_path}/finished ] ||'
        f' {{ echo "{words}"; exit 100; }};; esac',
    )
    system.add("dpkg", f'echo "dpkg $*" >>"$log"; : >{tmp_path}/finished')
    done = system.set_up(TRY, groups="build")
    assert done.returncode == 0, done.stderr
    assert system.asked().count("dpkg --configure -a") == 1
    assert system.asked()[-1].endswith(system.asked()[1].split()[-1])


@needs_root
def test_what_an_interrupted_set_up_installed_is_remembered(system: System) -> None:
    system.cache.mkdir()
    (system.cache / "packages.before").write_text("old\n")
    system.add("dpkg-query", "printf 'ii  old\\nii  new\\n'")
    system.set_up(TRY, groups="build")
    assert (system.cache / "packages").read_text() == "new\n"


def test_sudo_is_told_the_proxies(system: System) -> None:
    system.add("id", "echo 1000")
    system.add("sudo", 'shift; echo "$@" >>"$log"')
    done = system.set_up("export http_proxy='http://p:1/ x' no_proxy=; as_root apt-get -q update")
    assert done.returncode == 0, done.stderr
    assert system.asked() == ["env LC_ALL=C http_proxy=http://p:1/ x apt-get -q update"]


def test_proxies_are_known_by_their_small_names(system: System) -> None:
    system.online.unlink()
    system.add("apt-get", 'echo "$http_proxy $https_proxy" >>"$log"; exit 100')
    system.add("apt-cache", "exit 0")
    system.run(
        "list", "--yes", HTTP_PROXY="http://a", HTTPS_PROXY="http://b", https_proxy="http://c"
    )
    assert system.asked()[0] == "http://a http://c"


@pytest.mark.parametrize(
    ("words", "package"),
    [
        (["serve", "guest-mmsg"], "qemu-system-x86"),
        (["serve", "uk-netdev"], "qemu-system-x86"),
        (["serve", "guest-dpdk"], "DPDK"),
        (["build", "host-mmsg", "guest-mmsg"], "qemu-system-x86"),
        (["build", "host-mmsg", "host-dpdk"], "DPDK"),
        (["build", "limit-veth"], "gcc-bpf"),
        (["build"], "DPDK"),
        (["build"], "gcc-bpf"),
        (["load", "--nic", "eth9", "10.0.0.1:1"], "DPDK"),
        (["load", "--nic=eth9", "10.0.0.1:1"], "DPDK"),
        (["test", "--full"], "debootstrap"),
        (["test", "--long"], "debootstrap"),
        (["test", "--full"], "git"),
    ],
)
def test_a_named_row_or_option_asks_for_what_it_needs(
    words: list[str], package: str, system: System
) -> None:
    assert package in system.run(*words).stderr


@pytest.mark.parametrize(
    "words",
    [
        ["serve", "host-mmsg"],
        ["build", "host-mmsg", "ukp-netdev"],
        ["load", "10.0.0.1:1"],
        ["test"],
    ],
)
def test_others_do_not(words: list[str], system: System) -> None:
    said = system.run(*words).stderr
    assert "debootstrap" not in said
    assert words[0] == "test" or not any(name in said for name in ("qemu", "DPDK", "bpf"))


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="no Python of the distribution")
def test_the_distributions_python_comes_first(system: System) -> None:
    system.add_python()
    found = system.set_up("PATH=$PATH:/usr/bin; find_python || echo none").stdout.strip()
    first = system.set_up("first_python /usr/bin/python3 || first_python python3").stdout.strip()
    assert found == first
    assert system.set_up("find_python").stdout.strip() == sys.executable
