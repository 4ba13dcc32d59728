"""Everything breaks at random while jobs are reported and asked for; what is shown must stay right: `make torture`.

Four rooms: `system` (Kafka, Redis, the programs, links between them), `faults` (a schedule that a seed decides, and
how each fault is done), `clients` (workers and readers that never stop), `judging` (the truth that the log tells, and
judges who hold every answer that was given against it). `run` runs epochs, an `epoch` runs rounds.
"""
