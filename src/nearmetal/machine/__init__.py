"""Facts about a machine, changes made on it for a run, and their undo.

facts.py           facts about this machine
journal.py records.py undo.py hugepage_claims.py   what was made or changed, and how it is undone
processes/ cores/ memory/ devices/ links/ vm/   the parts of a machine, one folder each
tune/              settings that a machine needs before a measurement
"""
