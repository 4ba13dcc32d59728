"""A process killed before and after each of its awaits."""
