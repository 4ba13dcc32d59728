"""A broker that costs little to start is a broker like others."""

from pathlib import Path

import pytest

from devstack import Kafka
from tests.support.brokers import FEATURES, IDENTITY

pytestmark = pytest.mark.server  # Kafka's own tool formats the first directory


def identity(broker: Kafka) -> dict[str, str]:
    """Return who the broker of a directory is, as Kafka reads it."""
    lines = (broker.directory / "data" / IDENTITY).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def test_a_directory_has_an_identity_of_its_own(tmp_path: Path) -> None:
    """Directories share the features of a new cluster; cluster and directory are named anew, the node as it is set."""
    brokers = [Kafka(tmp_path / number, settings={"node.id": number}) for number in ("1", "2")]
    for broker in brokers:
        broker.directory.mkdir()
        broker._prepare()  # noqa: SLF001 - it need not be started for that
    first, second = map(identity, brokers)
    assert first.keys() == second.keys() == {"version", "cluster.id", "node.id", "directory.id"}
    assert (first["version"], first["node.id"], second["node.id"]) == (second["version"], "1", "2")
    assert first["cluster.id"] != second["cluster.id"]
    assert first["directory.id"] != second["directory.id"]
    features = {(broker.directory / "data" / FEATURES).read_bytes() for broker in brokers}
    assert len(features) == 1
