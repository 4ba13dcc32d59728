"""Records that are in the log and cannot be read as they are: one partition waits, named, and the process lives on."""

import json
import re
from pathlib import Path

import pytest

from devstack import free_port
from projector.letters.headers import HEADER_PREFIX
from projector.log.codecs import MAX_EXPANDED_BYTES, Expansion, require_codecs
from projector.store.ledger import Ledger, ledgers
from schemas.redis_layout import LEDGER, POSITIONS, bucket_prefix
from service.errors import ServiceUnavailableError
from tests.support.deployment import Deployment, wait_for
from tests.support.events import event
from tests.support.health import ready
from tests.support.record_batches import batch, record, record_of_zeros, write_batch

GIBIBYTE = 1 << 30
# The process as it is, what one poll may expand, and that once more as the records that come of it.
MOST_MEMORY_BYTES = 150 * 2**20 + 2 * MAX_EXPANDED_BYTES
PADDED_BYTES = 250_000
PADDED_RECORDS = 160
PADDED_BATCHES = 10  # 400 MB in one poll, were there no limit


def peak_memory_bytes(pid: int) -> int:
    """Return the most memory that a process has held."""
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(kilobytes) * 1024


def ledger(deployment: Deployment, partition: int = 0) -> Ledger:
    """Return what became of the offsets of a partition."""
    positions = deployment.hash(bucket_prefix(deployment.prefix, 1, 0) + POSITIONS)
    return ledgers([positions])[f"{deployment.topic}/{partition}"]


async def write(deployment: Deployment, content: bytes, partition: int = 0) -> None:
    """Write a batch as it is."""
    await write_batch(deployment.services.kafka_bootstrap_servers, deployment.topic, partition, content)


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
async def test_a_batch_that_is_too_large_holds_its_partition_until_it_is_skipped(
    deployment: Deployment, codec: str
) -> None:
    """A batch that becomes 1 GB costs its partition alone, and little memory."""
    await deployment.send(event(job="before"), 0)
    await write(deployment, batch(record_of_zeros(GIBIBYTE), codec))
    await deployment.send(event(job="after"), 0)
    await deployment.send(event(job="elsewhere"), 1)
    port = free_port()
    process = deployment.start_projector(METRICS_PORT=str(port))
    reason = f"a {codec} batch cannot be expanded within {MAX_EXPANDED_BYTES} bytes"
    wait_for(lambda: reason in ready(port)[1], "the reason is named")
    assert f"{deployment.topic}/0 is held: the record at 1 cannot be read" in ready(port)[1]
    wait_for(lambda: deployment.positions() == {"0": 1, "1": 1}, "what can be read is applied")
    deployment.command("projector", "skip", "--partition", "0", "--to", "2")
    wait_for(lambda: deployment.positions() == {"0": 3, "1": 1}, "the rest is applied")
    assert (ledger(deployment).applied, ledger(deployment).dead_lettered, ledger(deployment).is_closed) == (2, 1, True)
    (letter,) = await deployment.read(f"dlq.{deployment.topic}")
    assert dict(letter.headers)[HEADER_PREFIX + "exception.message"] == b"offsets 1 to 1 were skipped by command"
    wait_for(lambda: ready(port)[0] == 200, "ready again")
    assert process.poll() is None
    assert peak_memory_bytes(process.pid) < MOST_MEMORY_BYTES


@pytest.mark.parametrize("codec", ["", "zstd"])
async def test_a_header_name_that_is_no_text_hinders_nobody(deployment: Deployment, codec: str) -> None:
    """Events with such a header are applied, other records with one become letters, wherever the projector resumes."""
    values = [json.dumps(event(job=f"job-{number}")).encode() for number in range(3)]
    odd = [record(value, number, b"a\xff\xfe") for number, value in enumerate([values[0], b"{}", values[1]])]
    await write(deployment, batch([*odd, record(values[2], len(odd))], codec, len(odd) + 1))
    await deployment.send(event(job="elsewhere"), 1)
    process = deployment.start_projector()
    wait_for(lambda: deployment.positions() == {"0": 4, "1": 1}, "all of it is applied")
    (letter,) = await deployment.read(f"dlq.{deployment.topic}")
    assert (letter.value, letter.headers[0]) == (b"{}", ("a\\xff\\xfe", b""))
    pipeline = deployment.redis.pipeline()
    for field in ("", LEDGER[0]):
        pipeline.hincrby(bucket_prefix(deployment.prefix, 1, 0) + POSITIONS, f"{deployment.topic}/0{field}", -2)
    pipeline.execute()
    wait_for(lambda: deployment.positions()["0"] == 4, "it resumes in the middle of the batch")
    assert str(ledger(deployment)) == "4 = 1 applied + 2 already known + 1 dead letters + 0 without a record"
    assert process.poll() is None
    deployment.command("projector", "verify")


async def test_batches_that_are_too_much_together_are_read_one_by_one(deployment: Deployment) -> None:
    """Batches that fit, but not all into one poll, are applied without help and within the same memory."""
    for first in range(0, PADDED_BATCHES * PADDED_RECORDS, PADDED_RECORDS):
        values = (json.dumps(event(job=f"job-{first + number}")).encode() for number in range(PADDED_RECORDS))
        records = (record(value.ljust(PADDED_BYTES), number) for number, value in enumerate(values))
        await write(deployment, batch(records, "zstd", PADDED_RECORDS))
    process = deployment.start_projector()
    wait_for(lambda: deployment.positions().get("0") == PADDED_BATCHES * PADDED_RECORDS, "all is applied")
    assert ledger(deployment).applied == PADDED_BATCHES * PADDED_RECORDS
    assert peak_memory_bytes(process.pid) < MOST_MEMORY_BYTES


async def test_a_record_that_is_large_only_when_expanded_becomes_a_letter(deployment: Deployment) -> None:
    """A record far larger than Kafka takes uncompressed becomes a dead letter with its bytes, like any other."""
    size = MAX_EXPANDED_BYTES // 2
    await write(deployment, batch(record_of_zeros(size), "gzip"))
    await deployment.send(event(), 0)
    deployment.start_projector()
    wait_for(lambda: deployment.positions().get("0") == 2, "the letter is written and the event applied")
    (letter,) = await deployment.read(f"dlq.{deployment.topic}")
    assert (len(letter.value), letter.value.strip(b"\0")) == (size, b"")


def test_what_aiokafka_reads_is_bounded_whatever_the_codec() -> None:
    """At its start a projector knows that every codec is there and keeps the limit; one that does not ends it."""
    ample, small = Expansion(limit_bytes=1000), Expansion(limit_bytes=10)
    ample.install()
    try:
        require_codecs(ample)
        small.install()
        with pytest.raises(ServiceUnavailableError, match=r"gzip cannot be read .* cannot be expanded within 10 bytes"):
            require_codecs(small)
    finally:
        small.remove()
        require_codecs(ample)
        ample.remove()
    with pytest.raises(ServiceUnavailableError, match=r"aiokafka is not the expected one"):
        require_codecs(ample)
