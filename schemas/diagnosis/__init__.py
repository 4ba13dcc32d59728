"""Why a job is where it is: the causes there are, when each holds, and what is said of it. Values in, values out."""
