"""Memory: huge pages for a run, and the resident memory of processes and guests."""
