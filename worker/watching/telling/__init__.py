"""How it is told: a board for people, lines for programs, and the sentences of both."""
