"""What every command of an operator does the same way: it can be told to end, and tells how far it is."""
