"""Simulated workers, and a view of the log; what compute workers use is in operator_status."""
