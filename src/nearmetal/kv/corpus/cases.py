"""All cases, in the order in which they run."""

from nearmetal.kv.corpus import guard, odd, valid
from nearmetal.kv.corpus.case import Case

CASES: tuple[Case, ...] = (
    *valid.STORE,
    *valid.NUMBERS,
    *valid.SEVERAL,
    *odd.FRAMES,
    *odd.LINES,
    *odd.WORDS,
    *odd.DATA,
    *guard.GUARD,
)
