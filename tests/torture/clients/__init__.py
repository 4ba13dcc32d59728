"""Workers that report and readers that ask, all the time."""
