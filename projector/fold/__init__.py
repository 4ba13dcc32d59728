"""The rule of the fold (job.py), and batches of folded jobs. Values in, values out."""
