"""Stage 4, measuring: the rounds of a run, one trial, and how busy both sides were.

rounds.py     every trial of a run, in order
trial.py      one trial, from a fresh server to its end
start.py      starts server and generator on their wire
generator.py  the generator's command line
busy.py       how busy both sides were
progress.py   shows on stderr how far the run has come
"""
