"""Entries that C calls (native/service/user.c): a service's functions behind plain pointers.

Each entry returns 0, or the code of a fault, and has its result behind its first argument; the
second is Numba's and not used.

    int32_t user_answer(int64_t *result, void **unused, const uint8_t *request, int64_t nb_bytes,
                        uint8_t *room, int64_t room_bytes, uint8_t *state,
                        const struct source *source, int64_t now_ns);
    int32_t user_prepare(int64_t *result, void **unused, const uint8_t *request, int64_t nb_bytes,
                         uint8_t *state);
    int32_t user_reindex_N(int64_t *result, void **unused, uint8_t *table);
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

from numba.core import types

from nearmetal.errors import BadInputError, NearmetalError
from nearmetal.service import tables
from nearmetal.service.both import INTRINSIC
from nearmetal.service.compile import emit, initial, pipeline, ranges, siphash
from nearmetal.service.compile.folder import layout_hash
from nearmetal.service.compile.items import begin_reply, begin_view, end_reply
from nearmetal.service.compile.plan import Compiled, Field, Group, Place, fields
from nearmetal.service.compile.session import Session, refuse_recursion
from nearmetal.service.compile.shapes import Record
from nearmetal.service.compile.subset import Refusal
from nearmetal.service.load import Loaded

# struct source (native/include/service.h)
SOURCE = (Field("addr", 0, 1, False, 16), Field("port", 16, 2, False, None))
_BYTES = types.CPointer(types.uint8)


def build(loaded: Loaded, *, checked: bool = True) -> Compiled:
    """Compile a service. checked: an index outside is a fault, not undefined behaviour.

    Raises BadInputError: file, line, and what to write instead.
    """
    session = _session(loaded, checked)
    layout = loaded.service.state.layout
    first_bytes = b"".join(one.data for one in initial.extents(layout, loaded.block))
    try:
        for root in _roots(loaded):
            refuse_recursion(session, root)
        emitted = emit.emit(_parts(loaded, session), layout_hash(layout), first_bytes)
    except Refusal as refusal:
        place = loaded.finder.line(refusal.path, refusal.line)
        raise BadInputError(f"{place}{refusal.text}") from None
    except RecursionError:
        raise BadInputError(
            f"{loaded.path}: an expression is too long to be compiled; write it in parts"
        ) from None
    except NearmetalError:
        raise
    except Exception as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise NearmetalError(
            f"{loaded.path}: cannot be compiled, which is a fault of nearmetal's compiler ({said})"
        ) from error
    return Compiled(
        object=emitted.object,
        files=tuple(loaded.finder.within(name) for name in session.files),
        has_prepare="prepare" in loaded.functions,
        stack_bytes=emitted.stack_bytes,
        lacks=emitted.lacks,
    )


def _roots(loaded: Loaded) -> list[FunctionType]:
    return [loaded.functions[name] for name in ("answer", "prepare") if name in loaded.functions]


def _session(loaded: Loaded, checked: bool) -> Session:
    own = ranges.intrinsics(checked)
    known = {function: own.get(name) for name, function in INTRINSIC.items()}
    known[INTRINSIC["keyed_hash"]] = siphash.keyed_hash
    files = frozenset(map(str, loaded.finder.hashes))
    session = Session(known, pipeline.dispatcher, own=files, checked=checked)
    session.files.append(loaded.functions["answer"].__code__.co_filename)
    return session


def _parts(loaded: Loaded, session: Session) -> Iterator[emit.Part]:
    layout = fields(loaded.service.state.layout)
    source = Record("source", SOURCE, False)
    state = Record("state", layout, True)
    answer = loaded.functions["answer"]
    yield _part(
        session,
        "user_answer",
        (_answer(answer, len(loaded.service.drops)), answer),
        types.int64(_BYTES, types.int64, _BYTES, types.int64, state, source, types.int64),
    )
    if prepare := loaded.functions.get("prepare"):
        yield _part(
            session,
            "user_prepare",
            (_prepare(prepare), prepare),
            types.int64(_BYTES, types.int64, Record("state", layout, False)),
        )
    for number, group in enumerate(one for one in layout if isinstance(one, Group)):
        table = Record(f"state.{group.name}", group.fields, True)
        both = (tables.reindex, tables.reindex)
        yield _part(session, f"user_reindex_{number}", both, types.int64(table))


def _part(
    session: Session,
    name: str,
    both: tuple[Callable[..., int], Callable[..., Any]],
    signature: Any,
) -> emit.Part:
    """Compile an entry; `both` has it, and the function that it stands for."""
    entry, behind = both
    text, found = pipeline.compiled(entry, signature, session, behind)
    return emit.Part(text, found, name)


def _answer(answer: Callable[..., int], nb_drops: int) -> Callable[..., int]:
    place = Place(0, answer.__code__.co_firstlineno).number

    def entry(
        data: Any, nb_bytes: int, room: Any, room_bytes: int, state: Any, source: Any, now_ns: int
    ) -> int:
        reply = begin_reply(room, room_bytes)
        length = answer(begin_view(data, nb_bytes), reply, state, source, now_ns)
        checked: int = end_reply(reply, length, nb_drops, place)
        return checked

    return entry


def _prepare(prepare: Callable[..., None]) -> Callable[..., int]:
    def entry(data: Any, nb_bytes: int, state: Any) -> int:
        prepare(begin_view(data, nb_bytes), state)
        return 0

    return entry
