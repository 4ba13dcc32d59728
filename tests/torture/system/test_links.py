"""Links do to connections what they are told, and nothing else."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.support.links import HOST, Direction, Link

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Streams]]


@pytest.fixture
async def link() -> AsyncIterator[Link]:
    """A link to a server that says everything twice."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            writer.write(data + data)
        writer.close()

    server = await asyncio.start_server(echo, HOST, 0)
    link = Link("test", server.sockets[0].getsockname()[1])
    await link.start()
    yield link
    await link.stop()
    server.close()


@pytest.fixture
async def connect(link: Link) -> AsyncIterator[Connect]:
    """Makes connections, which are closed afterwards."""
    made: list[Streams] = []

    async def connect() -> Streams:
        made.append(await asyncio.open_connection(HOST, link.port))
        return made[-1]

    yield connect
    for _, writer in made:
        writer.transport.abort()
    await asyncio.sleep(0)


async def say(streams: Streams, text: bytes) -> bytes:
    """Say something and return the answer."""
    reader, writer = streams
    writer.write(text)
    return await asyncio.wait_for(reader.readexactly(2 * len(text)), 1)


async def is_cut(streams: Streams) -> bool:
    """Tell whether the connection is cut."""
    try:
        return await asyncio.wait_for(streams[0].read(), 0.2) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


async def test_bytes_pass(connect: Connect) -> None:
    """A link that nothing was done to cannot be noticed."""
    streams = await connect()
    assert await say(streams, b"hello") == b"hellohello"
    assert not await is_cut(streams)


async def test_every_connection_is_cut(link: Link, connect: Connect) -> None:
    """After `close_all` a new connection is needed, and works."""
    streams = await connect()
    await say(streams, b"hello")
    link.close_all()
    assert await is_cut(streams)
    assert await say(await connect(), b"a") == b"aa"


async def test_an_answer_is_cut_in_the_middle(link: Link, connect: Connect) -> None:
    """The bytes are counted both ways."""
    reader, writer = await connect()
    link.cut_after(8)
    writer.write(b"hello")
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await asyncio.wait_for(reader.readexactly(10), 1)


@pytest.mark.parametrize("directions", [(), (Direction.REPLIES,), (Direction.REQUESTS,)])
async def test_what_is_held_arrives_when_it_is_healed(
    link: Link, connect: Connect, directions: tuple[Direction, ...]
) -> None:
    """A stalled link keeps every byte."""
    streams = await connect()
    link.stall(*directions)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(say(streams, b"hello"), 0.2)
    link.heal()
    assert await asyncio.wait_for(streams[0].readexactly(10), 1) == b"hellohello"


async def test_a_half_open_connection_says_nothing(link: Link, connect: Connect) -> None:
    """The client of an abandoned connection is not told; a new connection works, and healing cuts the old one."""
    streams = await connect()
    await say(streams, b"hello")
    link.abandon_all()
    streams[1].write(b"are you there?")
    assert not await is_cut(streams)
    assert await say(await connect(), b"a") == b"aa"
    link.heal()
    assert await is_cut(streams)


async def test_a_stopped_link_leaves_nothing_open(link: Link, connect: Connect) -> None:
    """A client whose connection has not reached the server yet is cut too."""
    with socket.socket() as full, socket.socket() as first:
        full.bind((HOST, 0))
        full.listen(0)
        first.connect(full.getsockname())  # there is room for one; whoever else connects waits
        link.switch(full.getsockname()[1])
        streams = await connect()
        await link.stop()
        assert await is_cut(streams)
