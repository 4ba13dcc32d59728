"""What is read from Redis: the live generation, where it stands, its jobs. Knows no HTTP."""
