"""The commands for dead letters, on a real Kafka."""

import asyncio
import json

from aiokafka import AIOKafkaProducer

from projector.letters.headers import HEADER_PREFIX, STAGE
from tests.support.deployment import Deployment, wait_for
from tests.support.events import event, record


def make_letters(deployment: Deployment) -> None:
    """Have three bad records become letters."""
    deployment.start_projector()
    value = record(0, event("running", attempt=0)).value
    deployment.publish([(b"first", b"\x1b[31mrubbish\n", []), (b"second", b"{}", []), (b"third", value, [])], 0)
    deployment.wait_until_applied()


def repeat_letter(deployment: Deployment, key: bytes, value: bytes, offset: int, reason: str) -> None:
    """Write a letter as the projector does, as if it had crashed before the position moved."""
    about = {
        "topic": deployment.topic,
        "partition": "0",
        "offset": str(offset),
        "stage": STAGE,
        "exception.class.name": reason,
        "exception.message": "again",
    }

    async def write() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=deployment.services.kafka_bootstrap_servers)
        await producer.start()
        headers = [(HEADER_PREFIX + name, text.encode()) for name, text in about.items()]
        await producer.send_and_wait(f"dlq.{deployment.topic}", value, key, headers=headers)
        await producer.stop()

    asyncio.run(write())


def test_a_letter_in_the_log_becomes_no_other_one(deployment: Deployment) -> None:
    """Whoever writes letters into the log as they are starts no circle: they are counted, and nothing is written."""
    make_letters(deployment)
    letters = deployment.records(f"dlq.{deployment.topic}")
    assert len(letters) == 3
    deployment.publish([(letter.key, letter.value, list(letter.headers)) for letter in letters], 0)
    deployment.publish([(b"fourth", b"rubbish", [(HEADER_PREFIX + "topic", b"another topic")])], 0)
    deployment.wait_until_applied()
    assert [letter.key for letter in deployment.records(f"dlq.{deployment.topic}")][3:] == [b"fourth"]
    wait_for(deployment.heartbeats, "the projector has confirmed where it stands")
    assert f"{deployment.topic}/0: 7 = 0 applied + 0 already known + 7 dead letters" in deployment.command(
        "projector", "doctor"
    )


def test_letters_are_listed_filtered_and_shown(deployment: Deployment) -> None:
    """Each letter is one line with its place and reason, whatever its bytes are, and a repeated one counts once."""
    make_letters(deployment)
    repeat_letter(deployment, b"first", b"rubbish", 0, "not-json")
    lines = deployment.command("projector", "dead-letters", "list").splitlines()
    assert lines[-1] == "3 dead letters"
    assert [line.split()[1:3] for line in lines[:-1]] == [
        [f"{deployment.topic}/0/0", "not-json"],
        [f"{deployment.topic}/0/1", "not-an-event"],
        [f"{deployment.topic}/0/2", "invalid-field"],
    ]

    def listed(*options: str) -> str:
        return deployment.command("projector", "dead-letters", "list", *options).splitlines()[-1]

    assert listed("--reason", "not-json") == "1 dead letters"
    assert listed("--job", "3333") == "1 dead letters"
    assert listed("--where", f"{deployment.topic}/0") == "3 dead letters"
    assert listed("--where", f"{deployment.topic}/0/1") == "1 dead letters"
    assert listed("--since", "2099-01-01") == "0 dead letters"
    shown = deployment.command("projector", "dead-letters", "show", f"{deployment.topic}/0/0")
    assert r"value: b'\x1b[31mrubbish\n'" in shown
    assert "\x1b" not in shown
    missing = deployment.command("projector", "dead-letters", "show", f"{deployment.topic}/0/9", code=1)
    assert "there is no dead letter" in missing


def test_letters_are_told_to_programs(deployment: Deployment) -> None:
    """With --json each letter is an object with all of it, bytes that are no text in Base64; places are checked."""
    make_letters(deployment)
    deployment.publish([(b"fourth", b"\xff", [("n", b"1")])], 0)
    deployment.wait_until_applied()
    listed = [
        json.loads(line) for line in deployment.command("projector", "dead-letters", "list", "--json").splitlines()
    ]
    assert [letter["reason"] for letter in listed] == ["not-json", "not-an-event", "invalid-field", "not-json"]
    assert listed[0]["value"] == "\x1b[31mrubbish\n"
    assert (listed[3]["key"], listed[3]["value_base64"]) == ("fourth", "/w==")
    assert listed[3]["headers"] == [{"name": "n", "value": "1"}]
    assert listed[0]["about"]["offset"] == "0"
    shown = deployment.command("projector", "dead-letters", "show", "--json", f"{deployment.topic}/0/3")
    assert json.loads(shown) == listed[3]

    def places(*options: str) -> int:
        return len(deployment.command("projector", "dead-letters", "list", "--json", *options).splitlines())

    assert places("--since", listed[0]["written_at"]) == 4  # the form in which it is printed
    assert places("--since", "1h") == 4
    assert places("--where", deployment.topic) == 4
    for nowhere in ("nope", f"{deployment.topic}/x", "/0"):
        assert "--where takes" in deployment.command("projector", "dead-letters", "list", "--where", nowhere, code=2)
    rehearsed = deployment.command("projector", "dead-letters", "redrive", "--json", "--dry-run")
    assert json.loads(rehearsed.splitlines()[0]) == {"good": 0, "still_bad": 4, "places": [], "dry_run": True}


def test_a_letter_that_is_understood_by_now_is_applied(deployment: Deployment) -> None:
    """Redriving sends what is good now, counts what is not, and a rehearsal sends nothing."""
    make_letters(deployment)
    good = record(0, event("finished", job="mended")).value
    assert good is not None
    repeat_letter(deployment, b"mended", good, 7, "unknown-type")
    rehearsal = deployment.command("projector", "dead-letters", "redrive", "--dry-run")
    assert "1 would be sent again, 3 not understood" in rehearsal.splitlines()
    assert "redrive: 4 of 4 letters" in rehearsal
    assert sum(deployment.log_ends().values()) == 3
    done = deployment.command("projector", "dead-letters", "redrive")
    assert done.splitlines()[:2] == [f"{deployment.topic}/0/7", "1 sent again, 3 not understood"]
    wait_for(lambda: list(deployment.redis.scan_iter(match=f"{deployment.prefix}:*jobid:mended")), "it is applied")
