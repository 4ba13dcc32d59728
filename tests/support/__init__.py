"""What tests share: servers, deployments, faults, events, clients."""
