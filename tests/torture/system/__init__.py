"""What is tortured: the servers, the programs, and the links between them."""
