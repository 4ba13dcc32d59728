"""Set-ups of production: each way to prove who one is, to Kafka and to Redis."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest

from service.errors import ServiceUnavailableError
from service.kafka import admin_client
from service.redis import connect, read_hash
from service.settings import KafkaSettings, RedisSettings
from tests.support.certificates import CLIENT, Certificates
from tests.support.redis_process import client_of
from tests.support.secured_kafka import PASSWORDS, Operation, Resource, Right, SecuredKafka
from tests.support.tls_redis import TlsRedis

pytestmark = pytest.mark.server

TOPIC = "seen"
AS_ALICE = {"KAFKA_SASL_PLAIN_USERNAME": "alice", "KAFKA_SASL_PLAIN_PASSWORD": PASSWORDS["alice"]}
# Whom Kafka takes the client for, the listener, and the settings.
WAYS = {
    "PLAIN": ("alice", "SASL", {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", **AS_ALICE}),
    "PLAIN with TLS": ("alice", "SASLTLS", {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", **AS_ALICE}),
    "SCRAM-SHA-256": (
        "alice",
        "SASL",
        {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_SASL_MECHANISM": "SCRAM-SHA-256", **AS_ALICE},
    ),
    "SCRAM-SHA-512": (
        "alice",
        "SASL",
        {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512", **AS_ALICE},
    ),
    "a certificate": (
        CLIENT,
        "MUTUAL",
        {
            "KAFKA_SECURITY_PROTOCOL": "SSL",
            "KAFKA_SSL_CERTFILE": "{client_certificate}",
            "KAFKA_SSL_KEYFILE": "{client_key}",
        },
    ),
    "OAUTHBEARER": (
        "carol",
        "SASL",
        {
            "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "KAFKA_SASL_MECHANISM": "OAUTHBEARER",
            "KAFKA_SASL_OAUTH_TOKEN_PATH": "{token}",
        },
    ),
}


def write_token(path: Path, user: str, seconds: int = 300) -> None:
    """Write a token that says who one is, and that nobody has signed."""
    claims = {"sub": user, "iat": int(time.time()) - 10, "exp": int(time.time()) + seconds}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": "none"}, claims)]
    path.write_bytes(b".".join(parts) + b".\n")


@pytest.mark.group("secured-kafka")
@pytest.mark.parametrize("way", WAYS)
async def test_kafka_knows_who_one_is(
    way: str, secured_kafka: SecuredKafka, certificates: Certificates, tmp_path: Path
) -> None:
    """By each mechanism the client is the user whose rights it has: it sees the topic that only that user may see."""
    user, listener, settings = WAYS[way]
    files = {**vars(certificates), "token": tmp_path / "token"}
    write_token(files["token"], user)
    given = {name: value.format_map(files) for name, value in settings.items()}
    given |= {"KAFKA_SSL_CAFILE": str(certificates.authority)} if "SSL" in given["KAFKA_SECURITY_PROTOCOL"] else {}
    given |= {"KAFKA_BOOTSTRAP_SERVERS": secured_kafka.address_of(listener)}
    await secured_kafka.grant_now(user, [Right(Operation.DESCRIBE, Resource.TOPIC, f"{TOPIC}-{user}")])
    await secured_kafka.create(f"{TOPIC}-{user}")
    async with admin_client(KafkaSettings.load(given)) as admin:
        assert await admin.list_topics() == [f"{TOPIC}-{user}"]


@pytest.mark.group("secured-kafka")
async def test_a_token_is_read_anew(secured_kafka: SecuredKafka, tmp_path: Path) -> None:
    """A token that has expired is named, and one that was written into its file since is taken."""
    token = tmp_path / "token"
    write_token(token, "carol", seconds=-5)
    given: dict[str, Any] = {
        "KAFKA_BOOTSTRAP_SERVERS": secured_kafka.address_of("SASL"),
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_SASL_MECHANISM": "OAUTHBEARER",
        "KAFKA_SASL_OAUTH_TOKEN_PATH": str(token),
    }
    settings = KafkaSettings.load(given)
    with pytest.raises(ServiceUnavailableError, match="refuses the token in KAFKA_SASL_OAUTH_TOKEN_PATH"):
        async with admin_client(settings) as admin:
            await admin.list_topics()
    write_token(token, "carol")
    async with admin_client(settings) as admin:
        await admin.list_topics()


@pytest.mark.parametrize("scheme", ["rediss://{place}/0", "rediss://reader:word@{place}/0"])
async def test_redis_with_certificates(scheme: str, tls_redis: TlsRedis, certificates: Certificates) -> None:
    """Redis is reached by TLS with a certificate of the client, alone or beside user and password."""
    async with client_of(tls_redis.url) as client:
        await client.execute_command("CONFIG", "SET", "tls-auth-clients", "yes")
        await client.execute_command("ACL", "SETUSER", "reader", "on", ">word", "~*", "+@all")
        await client.hset("test", "name", "value")
    url = scheme.format(place=f"127.0.0.1:{tls_redis.tls_port}")
    options = f"ssl_ca_certs={certificates.authority}&ssl_certfile={certificates.client_certificate}"
    redis = connect(RedisSettings.load({"REDIS_URL": f"{url}?{options}&ssl_keyfile={certificates.client_key}"}))
    assert await read_hash(redis, "test") == {b"name": b"value"}
    await redis.aclose()
