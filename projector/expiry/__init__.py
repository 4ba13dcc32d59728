"""Letting jobs go that have no news since a cutoff."""
