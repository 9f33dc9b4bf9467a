"""What a machine is set to before it is measured, read, changed and put back.

`wanted.py` is what may be asked: [machine] of a spec, and the words of `tune apply`.
`processor.py`, `interrupts.py`, `memory.py` and `link.py` read and plan one setting each;
`apply.py` does it, for a run or to stay; `boot.py` says what only a boot can do.
"""
