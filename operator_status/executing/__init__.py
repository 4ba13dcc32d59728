"""How a command is a job: its process, its stages, and what is reported of it."""
