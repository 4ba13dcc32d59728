"""Waiting for jobs: what the API says of them, followed until it is decided how the wait ends."""
