"""Environment variables that reach the programs that we build, measure and run.

A shell's variables are meant for programs that its user starts: a preloaded allocator, another
compiler, another Python. Here they would change the meaning of a figure unnoticed. So variables
that control a loader, an allocator, a Python or a tool that we rely on are removed from every
child's environment; variables for paths and identity (PATH, HOME, XDG_*, proxies) stay. The
launcher does the same for the Python that runs this code.
"""

from __future__ import annotations

from collections.abc import Mapping

from nearmetal.machine.processes import supervisor
from nearmetal.paths import source_root

# Read by the loader, the allocator, Python, and by servers and virtual machines under test.
_PREFIXES = ("LD_", "MALLOC_", "PYTHON", "LIBXDP_", "RTE_", "QEMU_", "MEMCACHED_")
# Set by a service manager for the process that it started, and for no other (sd_notify(3),
# sd_listen_fds(3)): if a child used them, the manager would take the child for us.
_MANAGERS_PREFIXES = ("LISTEN_", "WATCHDOG_")
_MANAGERS_NAMES = (supervisor.SOCKET, supervisor.JOURNAL)
_NAMES = (
    *("GLIBC_TUNABLES", "GCONV_PATH", "LOCPATH", "NLSPATH", "HOSTALIASES", "RES_OPTIONS"),
    *("BASH_ENV", "ENV", "CDPATH", "POSIXLY_CORRECT", "TAR_OPTIONS", "GREP_OPTIONS"),
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"),
    *("RUNTIME_DIRECTORY", "__PYVENV_LAUNCHER__"),
)
# Read by compilers, linkers, and the tools that call them.
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
    """Return the environment for every program that we start.

    A Python program gets our modules, and none from its working directory.
    """
    ours = {
        "PYTHONPATH": str(source_root() / "src"),
        "PYTHONSAFEPATH": "1",
        "PYTHONUTF8": "1",
    }
    prefixes, names = _PREFIXES + _MANAGERS_PREFIXES, _NAMES + _MANAGERS_NAMES
    return _without(given, prefixes, names) | ours


def of_tools(given: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for build tools: without variables that change what is compiled."""
    return _without(of_programs(given), _BUILD_PREFIXES, _BUILD_NAMES)


def _without(
    given: Mapping[str, str], prefixes: tuple[str, ...], names: tuple[str, ...]
) -> dict[str, str]:
    return {
        name: value
        for name, value in given.items()
        if not name.startswith(prefixes) and name not in names
    }
