"""Links and NICs as a run wants them, put back by the journal; frames over them."""
