"""Processes that end with nearmetal, owners of changes, and one run at a time."""
