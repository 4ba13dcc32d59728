"""The whole log folded into a new generation beside the live one."""
