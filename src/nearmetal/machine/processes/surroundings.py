"""What of the shell's environment reaches what we build, measure and run.

A shell's variables are for the programs that its user starts: a preloaded allocator, another
compiler, another Python. Here they would change what a figure means, unseen. So what
steers a loader, an allocator, a Python or a tool that we rely on is left out of every child's
environment; what says where things lie and who we are (PATH, HOME, XDG_*, proxies) stays. The
launcher does the same for the Python that this runs in.
"""

from __future__ import annotations

from collections.abc import Mapping

from nearmetal.machine.processes import supervisor
from nearmetal.paths import source_root

# Of the loader, the allocator, Python, and what servers and machines under test look at.
_PREFIXES = ("LD_", "MALLOC_", "PYTHON", "LIBXDP_", "RTE_", "QEMU_", "MEMCACHED_")
# What a service manager says to the process that it started, and to no other (sd_notify(3),
# sd_listen_fds(3)): a child that answered would be taken for us.
_MANAGERS_PREFIXES = ("LISTEN_", "WATCHDOG_")
_MANAGERS_NAMES = (supervisor.SOCKET, supervisor.JOURNAL)
_NAMES = (
    *("GLIBC_TUNABLES", "GCONV_PATH", "LOCPATH", "NLSPATH", "HOSTALIASES", "RES_OPTIONS"),
    *("BASH_ENV", "ENV", "CDPATH", "POSIXLY_CORRECT", "TAR_OPTIONS", "GREP_OPTIONS"),
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"),
    *("RUNTIME_DIRECTORY", "__PYVENV_LAUNCHER__"),
)
# Of compilers, linkers, and the tools that call them.
_BUILD_PREFIXES = ("PKG_CONFIG", "MESON", "NINJA", "CMAKE", "GCC_", "CCC_", "CLANG_")
_BUILD_NAMES = (
    *("CC", "CXX", "CPP", "CC_LD", "CXX_LD", "LD", "AR", "AS", "NM", "RANLIB", "STRIP"),
    *("OBJCOPY", "OBJDUMP", "READELF", "WINDRES"),
    *("CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "LDEMULATION", "LIBRARY_PATH", "DESTDIR"),
    *("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "OBJC_INCLUDE_PATH", "COMPILER_PATH"),
    *("MAKE", "MAKEFLAGS", "MFLAGS", "GNUMAKEFLAGS", "MAKELEVEL", "MAKEFILES"),
    *("SOURCE_DATE_EPOCH", "DEPENDENCIES_OUTPUT", "SUNPRO_DEPENDENCIES", "COLLECT_GCC"),
)


def of_programs(given: Mapping[str, str]) -> dict[str, str]:
    """For every program that is started. A Python among them has our modules, and none from the
    folder in which it is started."""
    ours = {
        "PYTHONPATH": str(source_root() / "src"),
        "PYTHONSAFEPATH": "1",
        "PYTHONUTF8": "1",
    }
    prefixes, names = _PREFIXES + _MANAGERS_PREFIXES, _NAMES + _MANAGERS_NAMES
    return _without(given, prefixes, names) | ours


def of_tools(given: Mapping[str, str]) -> dict[str, str]:
    """For what builds: the same, and nothing that is compiled in."""
    return _without(of_programs(given), _BUILD_PREFIXES, _BUILD_NAMES)


def _without(
    given: Mapping[str, str], prefixes: tuple[str, ...], names: tuple[str, ...]
) -> dict[str, str]:
    return {
        name: value
        for name, value in given.items()
        if not name.startswith(prefixes) and name not in names
    }
