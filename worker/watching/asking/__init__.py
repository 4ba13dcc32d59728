"""How the API is asked: by its stream, and again and again; and what counts as no answer."""
