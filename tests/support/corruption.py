"""A log that its disk has damaged."""

from devstack import Kafka

# The first bytes of a record batch, before its records (Kafka protocol, record batch version 2).
BATCH_HEADER_BYTES = 61


def corrupt_batch(kafka: Kafka, partition: str, number: int) -> None:
    """Flip a byte in the records of a batch (counted from 0) of a stopped Kafka."""
    (path,) = (kafka.directory / "data" / partition).glob("*.log")
    content = bytearray(path.read_bytes())
    at = 0
    for _ in range(number):
        at += 12 + int.from_bytes(content[at + 8 : at + 12])  # the length counts what follows it
    content[at + BATCH_HEADER_BYTES + 5] ^= 0xFF
    path.write_bytes(content)
