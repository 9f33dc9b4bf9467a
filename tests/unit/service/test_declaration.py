"""Service(...): each wrong value is refused with what to write."""

from __future__ import annotations

import re

import pytest

from nearmetal.errors import BadInputError
from nearmetal.paths import source_root
from nearmetal.service import Id, Service, State, array, declaration, i64, u8
from nearmetal.service.declaration import DROP_WORDS, DROPS_MAX
from nearmetal.service.faults import FAULTS


class Counted(State):
    """Fields that counters may name, and one that they may not."""

    hits = i64()
    bytes = i64()
    many = array(u8, 4)


def test_a_service_has_its_own_drop_words_and_those_of_faults() -> None:
    one = Service("mine", port=7, drops=("late", "early"))
    assert one.drop_words == ("late", "early", *FAULTS)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "Mine"}, "a name has 1 to 12 characters"),
        ({"name": "a" * 13}, "a name has 1 to 12 characters"),
        ({"name": None}, "a name has 1 to 12 characters"),
        ({"port": 65_536}, "port=65536: must be a number from 1 to 65535"),
        ({"port": "7"}, "port='7': must be a number"),
        ({"state": Counted()}, "must be a class derived from State"),
        ({"state": dict}, "must be a class derived from State"),
        ({"counters": "hits"}, "counters='hits': must be a tuple"),
        ({"counters": ("hit",)}, "unknown field of the state 'hit'; did you mean hits?"),
        ({"counters": ("many",)}, "unknown field of the state 'many'"),
        ({"counters": ("hits",), "gauges": ("hits",)}, "the counter 'hits' exists already"),
        ({"drops": ("Late",)}, "drops: 'Late' must have 1 to 15 characters"),
        ({"drops": ("late", "late")}, "the drop word 'late' exists already"),
        ({"drops": ("short",)}, "the drop word 'short' exists already"),
        ({"drops": ("index_error",)}, "the drop word 'index_error' exists already"),
        ({"drops": tuple("abcdefghi")}, f"9 drop words; at most {DROPS_MAX}"),
        ({"id": 5}, "id must be written as Id"),
        ({"id": Id(at=0, reply_at=0)}, "id: at=0 is outside: .* within request_bytes_min=1"),
        ({"id": Id(0, 1399), "request_bytes_min": 2}, "reply_at=1399 is outside: .*=1400"),
        ({"id": Id(-1, 0), "request_bytes_min": 2}, "at=-1 is outside"),
        ({"request_bytes_min": 0}, "request_bytes_min=0: must be a number from 1 to 1400"),
        ({"reply_bytes_max": 1401}, "reply_bytes_max=1401: must be a number from 1 to 1400"),
    ],
)
def test_a_wrong_value_is_refused(wrong: dict[str, object], said: str) -> None:
    values = {"name": "mine", "port": 7, "state": Counted, **wrong}
    with pytest.raises(BadInputError, match=f"^service .*{said}"):
        Service(**values)  # type: ignore[arg-type]


def test_words_of_drops_are_those_of_the_header() -> None:
    header = (source_root() / "native/include/drop.h").read_text()
    assert tuple(re.findall(r'X\(DROP_\w+, "(\w+)"\)', header)) == DROP_WORDS


def test_limits_are_those_of_the_header() -> None:
    header = (source_root() / "native/include/service.h").read_text()
    found = dict(re.findall(r"#define SERVICE_(\w+) (\d+)", header))
    assert int(found["COUNTERS_MAX"]) == declaration.COUNTERS_MAX
    assert int(found["DATAGRAM_BYTES"]) == declaration.DATAGRAM_BYTES_MAX
