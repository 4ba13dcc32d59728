"""Following: one reader of the feeds for all who stream or wait. Knows no HTTP."""
