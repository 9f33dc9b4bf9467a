"""Processes that end with us, who owns them, and one run at a time."""
