"""The generations of a projection: listed, switched, rolled back, dropped."""
