"""What is read of a machine, made on it for a run, and put back.

facts.py           what this machine is
journal.py records.py undo.py hugepage_claims.py   what was made or changed, and its undoing
processes/ cores/ memory/ devices/ links/ vm/   the parts of a machine, each for itself
tune/              what a machine is set to before it is measured
"""
