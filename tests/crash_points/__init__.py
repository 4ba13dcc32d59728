"""The projector killed before and after each await of its apply path."""
