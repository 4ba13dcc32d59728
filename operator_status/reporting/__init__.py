"""How a job reports: the reporters, what they forgive, and how a job is left."""
