"""What the machine is made to look like for a run: processes, namespaces, cores, and their undoing."""
