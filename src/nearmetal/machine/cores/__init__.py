"""Cores: which cores exist, how busy each is, and which program gets which core."""
