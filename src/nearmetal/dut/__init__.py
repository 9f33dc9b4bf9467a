"""Where a program runs: how a row becomes a running DUT. One module a place."""
