"""Stage 3, wires between generator and DUT: made, measured on, taken down."""
