"""Ask a Kafka broker, in its own protocol, whether it serves.

An open port is not enough: it accepts connections before the node has joined its own cluster. Nor can a client library
be used, since it needs an event loop, and the caller may be inside one.
"""

import socket
import struct

PROBE_LIMIT_SECONDS = 2.0
LARGEST_ANSWER_BYTES = 1_048_576
API_METADATA = 3
VERSION = 1  # the oldest that Kafka 4 answers and that names the controller
CORRELATION_ID = 1
NO_CLIENT_ID = -1
NO_TOPICS = 0
# Request header v1 (api key, version, correlation id, client id), then the count of topics asked for.
REQUEST = struct.pack(">hhihi", API_METADATA, VERSION, CORRELATION_ID, NO_CLIENT_ID, NO_TOPICS)


def knows_a_broker(host: str, port: int) -> bool:
    """Say whether a broker answers there that has joined its cluster."""
    try:
        with socket.create_connection((host, port), PROBE_LIMIT_SECONDS) as connection:
            connection.sendall(struct.pack(">i", len(REQUEST)) + REQUEST)
            (size,) = struct.unpack(">i", _receive(connection, 4))
            answer = _receive(connection, min(size, LARGEST_ANSWER_BYTES))
    except OSError:
        return False
    correlation_id, brokers = struct.unpack_from(">ii", answer)
    return bool(correlation_id == CORRELATION_ID and brokers > 0)


def _receive(connection: socket.socket, size: int) -> bytes:
    """Return exactly that many bytes, or raise ConnectionError."""
    received = b""
    while len(received) < size:
        if not (part := connection.recv(size - len(received))):
            raise ConnectionError
        received += part
    return received
