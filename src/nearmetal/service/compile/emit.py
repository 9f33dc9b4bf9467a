"""From LLVM IR to an ELF object that every place can link, and the checks of it."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm

from nearmetal.errors import BadInputError, NearmetalError

TRIPLE = "x86_64-unknown-none-elf"
CPU = "x86-64-v2"
FEATURES = "+prfchw"  # prefetchw does nothing on processors without it
STACK_BYTES_MAX = 8192
# What a freestanding C compiler may call in any case; every place has them.
LINKED = frozenset({"memcpy", "memmove", "memset", "memcmp"})
_SYMBOLS, _SYMBOL_BYTES = 2, 24  # SHT_SYMTAB, sizeof(Elf64_Sym)
_FRAME = re.compile(r"subq\s+\$(\d+), %rsp")


@dataclass(frozen=True)
class Part:
    """LLVM IR, the name of its entry there, and the entry's name in the object."""

    text: str
    found: str
    wanted: str


@dataclass(frozen=True)
class Emitted:
    """The object, its largest frame, and the symbols that it lacks."""

    object: bytes
    stack_bytes: int
    lacks: tuple[str, ...]


def emit(parts: Iterable[Part], layout: int, first_bytes: bytes) -> Emitted:
    """Return one object with an entry for each part, and the state's layout and first bytes.

    Raises BadInputError: its frames are large.
    """
    parts = tuple(parts)
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = llvm.Target.from_triple(TRIPLE)
    machine = target.create_target_machine(
        cpu=CPU, features=FEATURES, opt=3, reloc="pic", codemodel="small"
    )
    module = _linked(parts)
    module.link_in(llvm.parse_assembly(_data(layout, first_bytes)))
    _prepare(module, {part.found: part.wanted for part in parts}, machine)
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    module.verify()
    _refuse_exceptions(module)
    frames = [int(one) for one in _FRAME.findall(machine.emit_assembly(module))]
    largest = max(frames, default=0)
    if largest > STACK_BYTES_MAX:
        raise BadInputError(
            f"the service needs {largest:,} bytes of stack; at most {STACK_BYTES_MAX:,}"
        )
    made = machine.emit_object(module)
    return Emitted(made, largest, _lacking(made))


def _refuse_exceptions(module: Any) -> None:
    """Raise NearmetalError where Numba itself raises: its code would be taken for one of ours."""
    if any("picklebuf" in each.name for each in module.global_variables):
        raise NearmetalError(
            "the compiled service raises outside its lines: a fault of the compiler"
        )


def _linked(parts: tuple[Part, ...]) -> Any:
    """Return one module of all; functions that several parts call are in it once."""
    entries = {part.found for part in parts}
    whole: Any = None
    for part in parts:
        module = llvm.parse_assembly(part.text)
        for each in (*module.functions, *module.global_variables):
            if (
                not each.is_declaration
                and each.name not in entries
                and str(each.linkage) not in ("Linkage.internal", "Linkage.private")
            ):
                each.linkage = "linkonce_odr"
        if whole is None:
            whole = module
        else:
            whole.link_in(module)
    return whole


_DATA = ("user_layout", "user_bytes")


def _data(layout: int, first_bytes: bytes) -> str:
    """Return LLVM IR of the constants that user.c reads (native/service/user.h)."""
    escaped = "".join(f"\\{byte:02x}" for byte in first_bytes or b"\0")
    return (
        f"@user_layout = constant i64 {layout}\n"
        f'@user_bytes = constant [{len(first_bytes) or 1} x i8] c"{escaped}", align 1\n'
    )


def _prepare(module: Any, names: dict[str, str], machine: Any) -> None:
    """Name the entries, hide all else, and set what holds in every place."""
    module.triple = TRIPLE
    module.data_layout = str(machine.target_data)
    for each in (*module.functions, *module.global_variables):
        if each.is_declaration:
            continue
        if each.name in _DATA:
            continue
        if each.name in names:
            each.name = names[each.name]
            each.linkage = "external"
        else:
            each.linkage = "internal"
    for function in module.functions:
        if not function.is_declaration:
            for attribute in ("noredzone", "nounwind"):
                function.add_function_attribute(attribute)


def _lacking(made: bytes) -> tuple[str, ...]:
    """Return the symbols that an object names and does not define. Raises NearmetalError."""
    named = undefined(made)
    if strange := sorted(named - LINKED):
        raise NearmetalError(
            f"the compiled service needs {', '.join(strange)}, which no place has: this is a fault"
            " of the compiler"
        )
    return tuple(sorted(named))


def undefined(made: bytes) -> set[str]:
    """Return the undefined symbols of a 64-bit ELF object (ELF-64 Object File Format, 1.5)."""
    (sections_at,) = struct.unpack_from("<Q", made, 40)
    size, count = struct.unpack_from("<HH", made, 58)
    sections = [
        struct.unpack_from("<IIQQQQIIQQ", made, sections_at + size * n) for n in range(count)
    ]
    found = set()
    for _, kind, _, _, at, nb_bytes, names, *_ in sections:
        if kind != _SYMBOLS:
            continue
        names_at = sections[names][4]
        for symbol in range(at + _SYMBOL_BYTES, at + nb_bytes, _SYMBOL_BYTES):
            name, _, _, section = struct.unpack_from("<IBBH", made, symbol)
            if section == 0:
                begin = names_at + name
                found.add(made[begin : made.index(b"\0", begin)].decode())
    return found
