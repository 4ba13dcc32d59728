"""What is done beside the process that reads: parts of the log folded, answers of Redis compared."""
