"""A log that is not kept: somebody changed the topic's settings while the projector runs."""

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAuthorizationFailedError

from projector.log.retention import RetentionWatch
from projector.log.topics import require_topics
from projector.settings import ProjectorSettings
from tests.freshness.scene import Scene
from tests.support.deployment import Deployment
from tests.support.topics import admin


async def configure(deployment: Deployment, **settings: str) -> None:
    """Change settings of the topic; the others become the broker's."""
    kept = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
    configs = kept | {name.replace("_", "."): value for name, value in settings.items()}
    client = await admin(deployment)
    try:
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, deployment.topic, configs)])
    finally:
        await client.close()


@pytest.mark.parametrize(("name", "value"), [("cleanup.policy", "compact"), ("retention.ms", "60000")])
async def test_a_setting_that_lets_events_go_is_noticed(deployment: Deployment, name: str, value: str) -> None:
    """The watch names the setting and what to set, and is content again once it is set."""
    watch = RetentionWatch(ProjectorSettings.load(deployment.environment))
    await watch.look()
    assert watch.trouble is None
    await configure(deployment, **{name: value})
    await watch.look()
    assert f"Kafka may remove events of {deployment.topic} ({name}={value}): set {name}=" in str(watch.trouble)
    await configure(deployment)
    await watch.look()
    assert watch.trouble is None


async def test_a_projector_of_such_a_log_is_not_ready(deployment: Deployment) -> None:
    """Readiness and a metric of the projector say it; the API answers on."""
    await configure(deployment, retention_ms="60000")
    await asyncio.to_thread(_says_so, deployment)


def _says_so(deployment: Deployment) -> None:
    scene = Scene(deployment, ready=503)
    scene.reads(scene.readiness, 503, f"[-] log retention: Kafka may remove events of {deployment.topic} (retention.ms")
    scene.becomes(lambda: scene.metric("projector_log_not_kept"), 1)
    scene.becomes(scene.told, (200, "0", None))
    scene.reads(scene.api_readiness, 200, "[+] projection: ok")
    assert "[-] topic setting: " in scene.doctor(1)


async def test_who_may_not_see_the_settings_goes_on(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the right to describe the topic's configuration nothing is known, and that is no trouble."""
    ask = AIOKafkaAdminClient.describe_configs

    async def refused(*arguments: object) -> object:
        (response,) = await ask(*arguments)
        response.resources = [(TopicAuthorizationFailedError.errno, "no", 2, deployment.topic, [])]
        return [response]

    monkeypatch.setattr(AIOKafkaAdminClient, "describe_configs", refused)
    watch = RetentionWatch(ProjectorSettings.load(deployment.environment))
    await watch.look()
    assert watch.trouble is None
    await require_topics(ProjectorSettings.load(deployment.environment))
