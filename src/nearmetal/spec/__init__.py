"""Stage 1, what is measured: spec files, rungs, sweeps, windows, images of a spec's own."""
