"""Write what the native build reads of a service (option services_dir of meson).

table            a row for each service, as in spec/services
NAME/service.c   its constants
NAME/service.o   its functions, its state's first bytes
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nearmetal.paths import write_changed
from nearmetal.service.compile.initial import extents
from nearmetal.service.compile.plan import Compiled
from nearmetal.service.declaration import Service
from nearmetal.service.faults import FAULTS
from nearmetal.service.load import Loaded
from nearmetal.service.state import Layout, Place

MEMORY_BYTES_MIN = 1 << 20  # SERVICE_MEMORY_BYTES_MIN in native/include/service.h
# user.c: its own struct, and copies of requests.
OWN_BYTES, COPY_STRIDE, BURST_MAX = 128, 1600, 64
FILE_BYTES = 48  # SERVICE_FILE_BYTES in native/include/service.h
COLOUR = "404040"


def write(folder: Path, made: Iterable[tuple[Loaded, Compiled]]) -> None:
    """Write the files of services, and the table that names them."""
    lines = []
    for loaded, compiled in made:
        service = loaded.service
        write_one(folder / service.name, loaded, compiled)
        lines.append(line(service.name, service.gauges, service.counters, service.drop_words))
    write_changed(folder / "table", "".join(f"{one}\n" for one in lines))


def write_one(folder: Path, loaded: Loaded, compiled: Compiled) -> None:
    """Write the files of one service into its folder, where they are not as they should be."""
    folder.mkdir(parents=True, exist_ok=True)
    write_changed(folder / "service.o", compiled.object)
    write_changed(folder / "service.c", _constants(loaded, compiled))


def line(name: str, gauges: Iterable[str], counters: Iterable[str], drops: Iterable[str]) -> str:
    """Return a service's line in the form of the table of services."""
    words = (",".join(each) or "-" for each in (gauges, counters, drops))
    return "  ".join((name, "-", "replay", *words, "cases", "-", "-", COLOUR))


def memory_bytes(service: Service, *, has_prepare: bool) -> int:
    """Return the least memory that a server of it needs."""
    state_bytes = -(-service.state.layout.nb_bytes // 64) * 64
    copies = COPY_STRIDE * (BURST_MAX if has_prepare else 1)
    return max(MEMORY_BYTES_MIN, OWN_BYTES + state_bytes + copies)


def layout_hash(layout: Layout) -> int:
    """Return the number by which constants and functions of different layouts are told apart."""
    return int(layout.digest[:16], 16)


def _constants(loaded: Loaded, made: Compiled) -> str:
    service, layout = loaded.service, loaded.service.state.layout
    found = extents(layout, loaded.block)
    needed_mib = -(-memory_bytes(service, has_prepare=made.has_prepare) // (1 << 20))
    tables = [
        (layout.place(f"{table.name}.seed"), f"user_reindex_{n}")
        for n, table in enumerate(layout.tables)
    ]
    starts = [sum(len(one.data) for one in found[:n]) for n in range(len(found))]
    counters = [layout.place(name) for name in service.gauges + service.counters]
    lists = {
        "struct user_extent extents": [
            f"{{{one.at}u, {len(one.data)}u, {start}u}}"
            for one, start in zip(found, starts, strict=True)
        ],
        "uint64_t seeds": [f"{at}u" for at in layout.seed_offsets],
        "struct user_table tables": [
            f"{{{place.offset_bytes}u, {name}}}" for place, name in tables if place
        ],
        "struct user_counter counters": [_counter(place) for place in counters if place],
        "char *const files": [f'"{file_name(name)}"' for name in made.files],
    }
    return f"""/* The constants of the service {service.name}, compiled from Python. */
#include "user.h"

{_declared(name for _, name in tables)}
{_arrays(lists)}
const uint32_t service_request_bytes_min = {service.request_bytes_min}u;

const struct user user = {{
    .layout = {layout_hash(layout):#x}u,
    .state_bytes = {layout.nb_bytes}u,
    .too_small = "the service's state needs more memory; give --memory {needed_mib}MiB",
    .reply_bytes_max = {service.reply_bytes_max}u,
    .nb_drops = {len(service.drops)}u,
    .nb_faults = {len(FAULTS)}u,
    .has_prepare = {str(made.has_prepare).lower()},
{_counts(lists)}}};
{"" if made.has_prepare else _NO_PREPARE}"""


# The linker must find it; no call of it is left.
_NO_PREPARE = """
int32_t user_prepare(int64_t *result, void **unused, const uint8_t *request, int64_t nb_bytes,
                     const uint8_t *state)
{
    (void)result, (void)unused, (void)request, (void)nb_bytes, (void)state;
    return 0;
}
"""


def file_name(name: str) -> str:
    """Return a file's name as native programs print it: short, and in printable ASCII."""
    shown = "".join(one if " " <= one <= "~" and one not in '"\\' else "?" for one in name)
    # A `??` with some third characters is another character in C.
    shown = shown.replace("??", "__")
    return shown if len(shown) < FILE_BYTES else "..." + shown[4 - FILE_BYTES :]


def _counter(place: Place) -> str:
    signed = str(place.kind.signed).lower()
    return f"{{{place.offset_bytes}u, {place.kind.nb_bytes}u, {signed}}}"


def _declared(names: Iterable[str]) -> str:
    return "".join(
        f"int32_t {name}(int64_t *result, void **unused, uint8_t *table);\n" for name in names
    )


def _arrays(lists: dict[str, list[str]]) -> str:
    return "".join(
        f"static const {name}[] = {{{', '.join(items)}}};\n"
        for name, items in lists.items()
        if items
    )


def _counts(lists: dict[str, list[str]]) -> str:
    lines = []
    for name, items in lists.items():
        word = name.split()[-1]
        if items:
            lines.append(f"    .nb_{word} = {len(items)}u,\n    .{word} = {word},\n")
    return "".join(lines)
