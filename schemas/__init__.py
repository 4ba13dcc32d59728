"""Every shape that crosses a process boundary, and nothing that talks."""
