"""Which faults happen when, and how each is done."""
