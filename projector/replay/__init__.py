"""What the log makes possible: build a projection anew, compare, switch, move."""
