"""Our partitions: which they are, where each stands, and why one waits."""
