"""What is asked and answered: credentials, queries, cursors, lists of jobs."""
