"""Everything breaks at random while jobs are reported and asked for; what is shown must stay right: `make torture`.

The parts: a `schedule` of faults that a seed decides, `faults` that do them to the `system` (the `servers` Kafka and
Redis, `links` in front of them, `programs`), `traffic` and `readers` that never stop, the `truth` that the log tells,
and the `judge` who holds every answer that was given against it. `rounds` runs them.
"""
