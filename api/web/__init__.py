"""HTTP and nothing of ours: the server, what every request passes through, headers, whole responses, documents."""
