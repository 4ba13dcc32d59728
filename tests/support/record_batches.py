"""Record batches made by hand (Kafka protocol, version 2), for what no client library would write."""

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator

import cramjam
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.util import calc_crc32c, encode_varint

from projector.log.codecs import CODECS

_CHUNK_BYTES = 1 << 20
_TIMESTAMP = 1_601_514_000_000
_REQUEST_MILLISECONDS = 40_000
Compress = Callable[[Iterable[bytes]], bytes]


def varint(number: int) -> bytes:
    """Return a number as records hold it."""
    written = bytearray()
    encode_varint(number, written.append)
    return bytes(written)


def record(value: bytes, number: int = 0, header_name: bytes = b"") -> bytes:
    """Return a record, by its number in the batch, with one header when that has a name."""
    headers = varint(1) + varint(len(header_name)) + header_name + varint(0) if header_name else varint(0)
    head = b"\0" + varint(0) + varint(number) + varint(-1) + varint(len(value))
    return varint(len(head) + len(value) + len(headers)) + head + value + headers


def record_of_zeros(size: int) -> Iterator[bytes]:
    """Yield, in parts, a record whose value is so many zeros."""
    head = b"\0" + varint(0) + varint(0) + varint(-1) + varint(size)
    yield varint(len(head) + size + 1) + head
    for at in range(0, size, _CHUNK_BYTES):
        yield bytes(min(_CHUNK_BYTES, size - at))
    yield varint(0)


def batch(parts: Iterable[bytes], codec: str = "", count: int = 1) -> bytes:
    """Return a batch of so many records, compressed."""
    body = _COMPRESS[codec](parts)
    sizes = (CODECS.get(codec, 0), count - 1, _TIMESTAMP, _TIMESTAMP, -1, -1, -1, count)
    checked = struct.pack(">hiqqqhii", *sizes) + body
    rest = struct.pack(">ibI", -1, 2, calc_crc32c(checked)) + checked
    return struct.pack(">qi", 0, len(rest)) + rest


async def write_batch(bootstrap_servers: str, topic: str, partition: int, content: bytes) -> None:
    """Write a batch to a partition as it is, without looking at it."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, request_timeout_ms=_REQUEST_MILLISECONDS)
    await producer.start()
    try:
        await producer.partitions_for(topic)
        request = ProduceRequest(
            required_acks=-1,
            timeout=_REQUEST_MILLISECONDS,
            topics=[(topic, [(partition, content)])],
            transactional_id=None,
        )
        leader = producer.client.cluster.leader_for_partition(TopicPartition(topic, partition))
        answer = await producer.client.send(leader, request)
        code = answer.topics[0][1][0][1]
        assert code == 0, for_code(code)
    finally:
        await producer.stop()


def _gzip(parts: Iterable[bytes]) -> bytes:
    compressor = zlib.compressobj(wbits=31)
    return b"".join(map(compressor.compress, parts)) + compressor.flush()


def _zstd(parts: Iterable[bytes]) -> bytes:
    compressor = cramjam.zstd.Compressor()
    for part in parts:
        compressor.compress(part)
    return bytes(compressor.finish())


_COMPRESS: dict[str, Compress] = {"": b"".join, "gzip": _gzip, "zstd": _zstd}
