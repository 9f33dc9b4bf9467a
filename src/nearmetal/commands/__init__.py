"""What a person types: a module a command, and cli.py, which reads the command line."""
