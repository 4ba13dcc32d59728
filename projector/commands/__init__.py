"""What an operator types: the commands of the projector, those of the inner rooms among them."""
