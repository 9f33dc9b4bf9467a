"""What a person types: one module for each command, and cli.py, which reads the command line."""
