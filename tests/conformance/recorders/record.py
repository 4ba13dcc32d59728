"""Print what the CloudEvents SDK of Python writes for Kafka; versions 1 and 2 have little in common."""

import json
from base64 import b64encode
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

FULL = json.loads(Path(__file__).with_name("full.json").read_text(encoding="utf-8"))
# What a dataclass would be of which nothing is set that may be left out.
SPARSE = {
    **{name: FULL[name] for name in ("owner", "agreementId", "jobId")},
    **dict.fromkeys(("attempt", "configlogURL", "publishlogURL", "algologURL", "outcome", "error")),
    "outputsURL": [],
    "message": "",
}
AS_BYTES = json.dumps(FULL, ensure_ascii=False).encode()
TIME = datetime(2020, 10, 1, 1, tzinfo=UTC)
ATTRIBUTES = {
    "id": "33-finished-2",
    "source": "/workers/gpu-7",
    "type": "operator.job.finished",
    "datacontenttype": "application/json",
    "partitionkey": "33-grün",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}


def messages_of_version_1() -> dict[str, Any]:
    """Return what `cloudevents<2` writes; it takes the time as text, and bytes in binary mode by a marshaller."""
    new, kafka = import_module("cloudevents.http").CloudEvent, import_module("cloudevents.kafka")
    full, sparse, as_bytes = (new({**ATTRIBUTES, "time": TIME.isoformat()}, it) for it in (FULL, SPARSE, AS_BYTES))
    return {
        "structured full": kafka.to_structured(full),
        "binary full": kafka.to_binary(full),
        "structured sparse": kafka.to_structured(sparse),
        "binary sparse": kafka.to_binary(sparse),
        "structured bytes": kafka.to_structured(as_bytes),
        "binary bytes": kafka.to_binary(as_bytes, data_marshaller=bytes),
    }


def messages_of_version_2() -> dict[str, Any]:
    """Return what `cloudevents>=2` writes."""
    new, kafka = import_module("cloudevents.core.v1.event").CloudEvent, import_module("cloudevents.core.bindings.kafka")
    json_format = import_module("cloudevents.core.formats.json").JSONFormat()
    events = {
        name: new({**ATTRIBUTES, "time": TIME}, data)
        for name, data in (("full", FULL), ("sparse", SPARSE), ("bytes", AS_BYTES))
    }
    return {f"structured {name}": kafka.to_structured(event, json_format) for name, event in events.items()} | {
        f"binary {name}": kafka.to_binary(event, json_format) for name, event in events.items()
    }


def record(name: str, message: Any) -> dict[str, Any]:
    """Return a record as JSON can hold it."""
    return {
        "name": name,
        "key": b64encode(message.key.encode()).decode(),
        "value": b64encode(message.value).decode(),
        "headers": [[header, b64encode(content).decode()] for header, content in message.headers.items()],
    }


def main() -> None:
    """Print the records of the version that is installed."""
    installed = version("cloudevents")
    messages = messages_of_version_1() if installed.startswith("1.") else messages_of_version_2()
    records = [record(name, message) for name, message in messages.items()]
    print(json.dumps({"sdk": "cloudevents (PyPI)", "version": installed, "records": records}, indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
