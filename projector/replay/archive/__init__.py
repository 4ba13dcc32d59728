"""Archives: a projection with its positions as a stream of JSON lines, written and read."""
