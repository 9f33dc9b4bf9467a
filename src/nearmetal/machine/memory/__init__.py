"""Memory: hugepages for a run, and how much a process or a guest has in use."""
