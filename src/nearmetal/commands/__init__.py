"""The commands: one module for each, and cli.py, which parses the command line."""
