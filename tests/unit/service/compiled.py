"""Services made up by tests: compiled, linked into this process, and asked."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

from nearmetal.service import Source
from nearmetal.service.compile.entries import build
from nearmetal.service.compile.plan import fault_place
from nearmetal.service.load import Loaded
from nearmetal.service.runner import AMPLIFY_MAX, Outcome
from nearmetal.service.tables import SEED_BYTES

HEAD = """from nearmetal.service import *


class Kept(State):
    one = i64()
    small = u8()
    wide = array(i64, 4)
    words = array(u16, 8)
    signs = array(i8, 5)
    octets = array(u8, 32)
    names = table(8, key_bytes=4)


service = Service("made", port=7000, state=Kept, drops=("first", "second"))
"""
SOURCE = Source(bytes(10) + b"\xff\xff\x0a\x00\x00\x07", 54321)
_BEHIND = 64


class Native:
    """A compiled service as C sees it, without native/service/user.c."""

    def __init__(self, loaded: Loaded, folder: Path, seed: bytes, *, checked: bool = True) -> None:
        service = loaded.service
        made = build(loaded, checked=checked)
        source, shared = folder / f"{service.name}.o", folder / f"{service.name}.so"
        source.write_bytes(made.object)
        command = ["cc", "-shared", "-nostdlib", "-o", str(shared), str(source)]
        subprocess.run(command, check=True)
        self._service = service
        self._library = ctypes.CDLL(str(shared))
        self.fault = ""  # file and line of that of the last request
        self._files = made.files
        self.state = (ctypes.c_uint8 * service.state.layout.nb_bytes)()
        self._start(loaded.block, seed)

    def _start(self, block: bytes, seed: bytes) -> None:
        layout = self._service.state.layout
        ctypes.memmove(self.state, block, len(block))
        for at in layout.seed_offsets:
            self.state[at : at + SEED_BYTES] = list(seed)
        for number, table in enumerate(layout.tables):
            place = layout.place(f"{table.name}.seed")
            assert place is not None
            where = ctypes.byref(self.state, place.offset_bytes)
            assert self._library[f"user_reindex_{number}"](*_unused(), where) == 0

    def answer(
        self, request: bytes, source: Source, now_ns: int, *, trusted: bool = False
    ) -> Outcome:
        """Answer one request. The room holds other bytes, none of which may be in the reply."""
        service = self._service
        self.fault = ""
        if len(request) < service.request_bytes_min:
            return Outcome(b"", "short")
        room_bytes = service.reply_bytes_max
        if not trusted:
            room_bytes = min(room_bytes, AMPLIFY_MAX * len(request))
        given = _bytes(request)
        room = _bytes(b"\xee" * (room_bytes + _BEHIND))
        place = _bytes(source.addr + source.port.to_bytes(2, "little"))
        result, unused = _unused()
        code = self._library.user_answer(
            *(result, unused, given, ctypes.c_int64(len(request))),
            *(room, ctypes.c_int64(room_bytes), self.state, place, ctypes.c_int64(now_ns)),
        )
        assert bytes(room)[room_bytes:] == b"\xee" * _BEHIND, "written behind the room"
        if code != 0:
            word, at = fault_place(code)
            self.fault = f"{self._files[at.file]}:{at.line}"
            return Outcome(b"", word)
        returned = result._obj.value
        if returned > 0:
            return Outcome(bytes(room)[:returned], "answered")
        return Outcome(b"", "quiet" if returned == 0 else service.drops[-returned - 1])


def _bytes(content: bytes) -> ctypes.Array[ctypes.c_uint8]:
    return (ctypes.c_uint8 * len(content)).from_buffer_copy(content)


def _unused() -> tuple[object, object]:
    return ctypes.byref(ctypes.c_int64(0)), ctypes.byref(ctypes.c_void_p())
