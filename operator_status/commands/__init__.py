"""What a person types: `status-worker`."""
