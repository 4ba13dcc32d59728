"""HTTP and nothing of ours: the server, what every request passes through, headers, responses, documents."""
