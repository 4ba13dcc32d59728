"""What workers that tests fork have imported besides: it has them try Kafka again soon.

Where Kafka is away most of them end at the second attempt, and nobody need wait for that.
"""

from operator_status.delivery import delivery

delivery.PAUSE_SECONDS = 0.1  # type: ignore[misc] # final for everybody else
