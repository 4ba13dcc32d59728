"""Redis as the projector sees it: generations, their positions, and the one step that moves these (apply.py)."""
