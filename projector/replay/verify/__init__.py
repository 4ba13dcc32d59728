"""Verify: the log folded again by other means, and held against what is stored."""
