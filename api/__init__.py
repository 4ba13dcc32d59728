"""Redis to HTTP: queries, views by role, streams, the timeline and the page. Reads only."""
