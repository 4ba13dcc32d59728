"""Processes that fold the log into a generation beside the live one."""
