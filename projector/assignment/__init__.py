"""Our partitions: where each is read from, and why one waits."""
