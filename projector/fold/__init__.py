"""The rule of the fold, and batches of folded jobs. Values in, values out."""
