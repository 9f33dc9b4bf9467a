"""Settings of a machine that is to be measured: read, changed, restored.

`wanted.py` has the settings: [machine] of a spec, and the words of `tune apply`.
`processor.py`, `interrupts.py`, `memory.py` and `link.py` each read and plan one setting.
`apply.py` makes the changes, for a run or permanently; `boot.py` has those that need a boot.
"""
