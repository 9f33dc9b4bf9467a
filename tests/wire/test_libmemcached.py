"""README's sentence on libmemcached (1.1.4) over UDP is right: the library stores and deletes,
receives no answer, and gets nothing."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from targets import OPEN, Program, Tools, open_target

from nearmetal.kv.client import Client
from tool import wait_until

README = Path(__file__).parents[2] / "README.md"
# libmemcached-1.0/types/behavior.h and return.h
USE_UDP = 27
SUCCESS, NOT_SUPPORTED = 0, 28


@pytest.fixture
def library(third_party: Callable[[str], list[str]]) -> Any:
    """Load the library that is installed with its tools; skip if it is missing."""
    command = third_party("memcaslap")
    paths = [word.partition("=")[2] for word in command if word.startswith("LD_LIBRARY_PATH=")]
    names = ("libhashkit.so.2", "libmemcached.so.11")
    try:
        loaded = [
            ctypes.CDLL(str(Path(paths[0], name)) if paths else name, ctypes.RTLD_GLOBAL)
            for name in names
        ]
    except OSError as error:
        pytest.skip(f"libmemcached cannot be loaded here: {error}")
    found = loaded[-1]
    found.memcached_create.restype = ctypes.c_void_p
    found.memcached_get.restype = ctypes.c_void_p
    found.memcached_strerror.restype = ctypes.c_char_p
    return found


@pytest.mark.rung("host-mmsg")
def test_it_stores_and_deletes_and_does_not_get(
    library: Any,
    programs: Callable[[str], Path],
    third_party: Callable[[str], list[str]],
) -> None:
    with closing(open_target("host-mmsg", Tools(programs, third_party), OPEN)) as target:
        assert isinstance(target, Program)
        theirs = ctypes.c_void_p(library.memcached_create(None))
        try:
            on = ctypes.c_uint64(1)
            assert library.memcached_behavior_set(theirs, USE_UDP, on) == SUCCESS
            add = library.memcached_server_add  # for UDP too: there is no separate function
            assert add(theirs, b"127.0.0.1", ctypes.c_uint16(target.port)) == SUCCESS
            with Client("127.0.0.1", target.port, timeout_s=30) as ours:
                _use(library, theirs, ours)
        finally:
            library.memcached_free(theirs)


def _use(library: Any, theirs: ctypes.c_void_p, ours: Client) -> None:
    """One operation after the other; our own client checks the result."""
    key, size = b"greeting", ctypes.c_size_t(len(b"greeting"))
    nothing, never = ctypes.c_uint32(0), ctypes.c_long(0)

    def store(name: str, data: bytes) -> None:
        function = getattr(library, f"memcached_{name}")
        length = ctypes.c_size_t(len(data))
        assert function(theirs, key, size, data, length, never, nothing) == SUCCESS, name

    for name, wanted in (("set", b"hello"), ("append", b"hello!"), ("replace", b"bye")):
        store(name, wanted[len(b"hello") :] if name == "append" else wanted)
        wait_until(lambda wanted=wanted: ours.get(key) == wanted, f"what {name} stored")
    assert library.memcached_delete(theirs, key, size, never) == SUCCESS
    wait_until(lambda: ours.get(key) is None, "what delete deleted")
    length, flags, why = ctypes.c_size_t(), ctypes.c_uint32(), ctypes.c_int(SUCCESS)
    got = library.memcached_get(
        theirs, key, size, ctypes.byref(length), ctypes.byref(flags), ctypes.byref(why)
    )
    assert got is None and why.value == NOT_SUPPORTED, why.value
    assert library.memcached_touch(theirs, key, size, never) == NOT_SUPPORTED
    library.memcached_stat.restype = ctypes.c_void_p
    library.memcached_stat(theirs, None, ctypes.byref(why))
    assert why.value == NOT_SUPPORTED


def test_the_readme_says_so() -> None:
    said = " ".join(README.read_text(encoding="utf-8").split())
    assert "libmemcached (1.1.4) over UDP only stores and deletes" in said
