"""Stage 4, measuring: the rounds of a run, one trial, who starts, and how busy both sides are."""
