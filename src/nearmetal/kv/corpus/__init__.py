"""The wire corpus: one list of requests and exact answers that every rung must pass.

case.py     the type of a case
valid.py    cases: well-formed requests
odd.py      cases: malformed or strange requests
guard.py    cases: rights of sources
check.py    sends the cases to a server
"""

from nearmetal.kv.corpus.case import GUARDED, Case, Guard, Step, masked
from nearmetal.kv.corpus.cases import CASES
from nearmetal.kv.corpus.check import (
    CORPORA,
    MEMCACHED,
    CorpusError,
    Target,
    Udp,
    ask_all,
    check_case,
    quick,
    quick_corpus,
)

__all__ = [
    "CASES",
    "CORPORA",
    "GUARDED",
    "MEMCACHED",
    "Case",
    "CorpusError",
    "Guard",
    "Step",
    "Target",
    "Udp",
    "ask_all",
    "check_case",
    "masked",
    "quick",
    "quick_corpus",
]
