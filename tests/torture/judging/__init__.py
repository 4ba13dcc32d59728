"""What is right, and whether it was."""
