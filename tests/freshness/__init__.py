"""How far the log goes, as each part of the system tells it."""
