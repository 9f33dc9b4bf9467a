"""Cores: which there are, how busy they are, and who gets which."""
