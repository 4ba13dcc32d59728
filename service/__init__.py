"""What every process of ours does the same way: settings, logs, exit codes, connections, health."""
