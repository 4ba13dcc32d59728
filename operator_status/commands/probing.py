"""What only a broker can tell: whether this client may write to a topic, and what time it is there."""

import time
from typing import ClassVar, Final

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import TopicAuthorizationFailedError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

ANSWER_MILLISECONDS: Final = 5000
# Who asks to write no batch at all is told that this is no request, unless he may not write: rights come first.
_NO_BATCH: Final = frozenset({2, 42, 87})  # CORRUPT_MESSAGE, INVALID_REQUEST, INVALID_RECORD
_QUORUM_TOPIC: Final = "__cluster_metadata"

_REPLICA: Final = CompactArray(
    ("replica_id", Int32),
    ("log_end_offset", Int64),
    ("last_fetch_timestamp", Int64),
    ("last_caught_up_timestamp", Int64),
    ("tags", TaggedFields),
)


class _QuorumResponse(Response):  # type: ignore[misc]
    """Version 1 of Kafka's DescribeQuorum, KIP-836: the leader's own times are its present time."""

    API_KEY: ClassVar[int] = 55
    API_VERSION: ClassVar[int] = 1
    SCHEMA = Schema(
        ("error_code", Int16),
        (
            "topics",
            CompactArray(
                ("topic", CompactString("utf-8")),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("error_code", Int16),
                        ("leader_id", Int32),
                        ("leader_epoch", Int32),
                        ("high_watermark", Int64),
                        ("current_voters", _REPLICA),
                        ("observers", _REPLICA),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _QuorumRequestV1(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 55
    API_VERSION = 1
    RESPONSE_TYPE = _QuorumResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("topic", CompactString("utf-8")),
                ("partitions", CompactArray(("partition", Int32), ("tags", TaggedFields))),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _QuorumRequest(Request[_QuorumRequestV1]):  # type: ignore[misc]
    API_KEY = 55

    def build(self, request_struct_class: type[_QuorumRequestV1]) -> _QuorumRequestV1:
        return request_struct_class([(_QUORUM_TOPIC, [(0, {})], {})], {})


async def may_write(producer: AIOKafkaProducer, topic: str, partition: int) -> bool:
    """Tell whether this client may write to a topic, without writing; KafkaError when that cannot be found out."""
    leader = producer.client.cluster.leader_for_partition(TopicPartition(topic, partition))
    request = ProduceRequest(None, -1, ANSWER_MILLISECONDS, [(topic, [(partition, b"")])])
    answer = await producer.client.send(leader, request)
    (_, partitions), *_ = answer.topics
    code = partitions[0][1]
    if code == TopicAuthorizationFailedError.errno:
        return False
    if code and code not in _NO_BATCH:
        raise for_code(code)(f"asked to write nothing to {topic}")
    return True


async def seconds_ahead(producer: AIOKafkaProducer) -> float:
    """Return how far this machine's clock is ahead of that of Kafka's controller; KafkaError when nobody may ask."""
    node = next(iter(producer.client.cluster.brokers())).nodeId
    before = time.time()
    answer = await producer.client.send(node, _QuorumRequest())
    ours = (before + time.time()) / 2
    if answer.error_code:
        raise for_code(answer.error_code)("the quorum is not shown")
    (_, partitions, _), *_ = answer.topics
    partition = partitions[0]
    if partition[1]:
        raise for_code(partition[1])("the quorum is not shown")
    theirs: int = max(replica[3] for replica in partition[5])
    return ours - theirs / 1000
