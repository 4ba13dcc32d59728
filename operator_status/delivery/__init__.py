"""How reports reach Kafka, now or later: what waits in memory and on disk, and who sends it."""
