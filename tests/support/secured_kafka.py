"""A Kafka broker that asks who is there: one listener for each way to prove it, and rights by an authorizer."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from enum import IntEnum
from pathlib import Path
from typing import Final, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest

from devstack import Kafka
from devstack.ports import LOCALHOST, free_ports
from tests.support.certificates import Certificates

HEAP_MEGABYTES: Final = 256
PASSWORDS: Final = {name: f"secret-of-{name}" for name in ("alice", "bob")}
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
PROTOCOLS: Final = {
    "CLIENTS": "PLAINTEXT",  # without a name, and with every right
    "SASL": "SASL_PLAINTEXT",
    "TLS": "SSL",
    "MUTUAL": "SSL",
    "SASLTLS": "SASL_SSL",
    "LOST": "PLAINTEXT",  # advertised where nobody listens
    "BROKER": "PLAINTEXT",
    "CONTROLLER": "PLAINTEXT",
}
NOWHERE: Final = f"{LOCALHOST}:1"
_MODULES: Final = "org.apache.kafka.common.security"
_ALLOW: Final = 3
_ANY: Final = 1
_LITERAL: Final = 3


class Resource(IntEnum):
    """What a right is about, by Kafka's numbers."""

    TOPIC = 2
    GROUP = 3
    CLUSTER = 4


class Operation(IntEnum):
    """What a right allows, by Kafka's numbers."""

    READ = 3
    WRITE = 4
    CREATE = 5
    ALTER = 7
    DESCRIBE = 8
    DESCRIBE_CONFIGS = 10


class Right(NamedTuple):
    """One right of somebody."""

    operation: Operation
    resource: Resource
    name: str = "kafka-cluster"


class SecuredKafka(Kafka):
    """A broker with all listeners, and the addresses of each."""

    def __init__(self, directory: Path, certificates: Certificates) -> None:
        self.ports = dict(zip(PROTOCOLS, free_ports(len(PROTOCOLS)), strict=True))
        scram = [f"{name}=[name=alice,password={PASSWORDS['alice']}]" for name in MECHANISMS[1:3]]
        super().__init__(
            directory,
            port=self.ports["CLIENTS"],
            settings=_settings(self.ports, certificates),
            heap_megabytes=HEAP_MEGABYTES,
            format_options=[option for each in scram for option in ("--add-scram", each)],
        )

    def address_of(self, listener: str) -> str:
        """Return where a listener is."""
        return f"{LOCALHOST}:{self.ports[listener]}"

    def grant(self, user: str, rights: Iterable[Right]) -> None:
        """Take from a user every right, and give these."""
        asyncio.run(self.grant_now(user, list(rights)))

    async def grant_now(self, user: str, rights: Iterable[Right]) -> None:
        """Take from a user every right, and give these, inside a running event loop."""
        principal = f"User:{user}"
        async with self._admin() as admin:
            await admin._send_request(DeleteAclsRequest(1, None, 1, principal, None, 1, 1))  # noqa: SLF001
            for operation, resource, name in rights:
                request = CreateAclsRequest(resource, name, _LITERAL, principal, "*", operation, _ALLOW)
                answer = await admin._send_request(request)  # noqa: SLF001 - there is no public way to rights
                assert answer.creation_responses[0][0] == 0, answer

    async def create(self, topic: str) -> None:
        """Create a topic, unless it is there."""
        async with self._admin() as admin:
            await admin.create_topics([NewTopic(topic, 1, 1)])

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address_of("CLIENTS"))
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()


def _settings(ports: Mapping[str, int], certificates: Certificates) -> dict[str, str]:
    listeners = {name: f"{name}://{LOCALHOST}:{port}" for name, port in ports.items()}
    advertised = {**listeners, "LOST": f"LOST://{NOWHERE}"}
    del advertised["CONTROLLER"]
    settings = {
        "listeners": ",".join(listeners.values()),
        "advertised.listeners": ",".join(advertised.values()),
        "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in PROTOCOLS.items()),
        "controller.quorum.voters": f"1@{LOCALHOST}:{ports['CONTROLLER']}",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "sasl.enabled.mechanisms": ",".join(MECHANISMS),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(certificates.server_store),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(certificates.authority),
        "listener.name.mutual.ssl.client.auth": "required",
        "listener.name.mutual.ssl.principal.mapping.rules": "RULE:^.*CN=([^,]+).*$/$1/,DEFAULT",
        "listener.name.sasltls.sasl.enabled.mechanisms": "PLAIN",
        "num.network.threads": "1",
        "num.io.threads": "2",
        "log.cleaner.enable": "false",
    }
    users = " ".join(f'user_{name}="{password}"' for name, password in PASSWORDS.items())
    plain = f"{_MODULES}.plain.PlainLoginModule required {users};"
    scram = f"{_MODULES}.scram.ScramLoginModule required;"
    token = f'{_MODULES}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";'
    modules = dict(zip(MECHANISMS, (plain, scram, scram, token), strict=True))
    for listener, mechanism in [("sasl", name) for name in MECHANISMS] + [("sasltls", "PLAIN")]:
        settings[f"listener.name.{listener}.{mechanism.lower()}.sasl.jaas.config"] = modules[mechanism]
    return settings
