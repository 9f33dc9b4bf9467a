"""All cases, in the order in which they are asked."""

from nearmetal.corpus.case import Case
from nearmetal.corpus.guard import GUARD
from nearmetal.corpus.odd import DATA, FRAMES, LINES, WORDS
from nearmetal.corpus.valid import NUMBERS, SEVERAL, STORE

CASES: tuple[Case, ...] = (
    *STORE, *NUMBERS, *SEVERAL, *FRAMES, *LINES, *WORDS, *DATA, *GUARD,
)  # fmt: skip
