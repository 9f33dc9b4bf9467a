"""The wire corpus: one list of questions and exact answers that every rung must pass.

case.py              what a case is
valid.py odd.py guard.py   the cases: well-behaved, strange, and who may ask what
check.py             asks them of anything that answers
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
