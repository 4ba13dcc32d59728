"""Streams: what one client is told, from its snapshot to its end. Knows no HTTP."""
