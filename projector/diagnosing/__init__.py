"""How many unfinished jobs there are, and why each is where it is, told to operators before users ask."""
