"""Links and NICs, set up for a run and restored by the journal; frames to send over them."""
