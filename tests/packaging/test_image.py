"""The image and the compose file, as far as they can be held to something without a Docker engine."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from api.settings import ApiSettings
from projector.settings import ProjectorSettings
from projector.store.memory import NO_EVICTION
from service.alive import REQUEST

PROJECT = Path(__file__).parents[2]
DOCKERFILE = (PROJECT / "Dockerfile").read_text()
IGNORED_BY_DOCKER = (PROJECT / ".dockerignore").read_text().split("\n")
CONFIGURATION = tomllib.loads((PROJECT / "pyproject.toml").read_text())
LAST_STAGE = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
NOT_IN_THE_IMAGE = {"devstack"}
OUR_IMAGE = "operator-status"


@pytest.fixture(scope="module")
def composed() -> dict[str, Any]:
    """The services of the compose file."""
    composed: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]
    return composed


def instruction(name: str) -> str:
    """Return what the last stage says in an instruction."""
    match = re.search(rf"^{name} (.+)$", LAST_STAGE, re.MULTILINE)
    assert match, name
    return match[1]


def test_the_image_does_not_run_as_root() -> None:
    """The user is a fixed number other than root's, so that a cluster can check it."""
    user, group = map(int, instruction("USER").split(":"))
    assert user > 0
    assert group > 0


def test_signals_reach_python() -> None:
    """Entry point and command are lists: no shell stands between a signal and the process."""
    assert json.loads(instruction("ENTRYPOINT")) == ["python", "-m"]
    assert json.loads(instruction("CMD")) == ["api"]


def test_the_image_says_whether_it_is_alive() -> None:
    """The health check is one process that asks a path which asks nothing of others."""
    check = LAST_STAGE[LAST_STAGE.index("HEALTHCHECK") :].partition("ENTRYPOINT")[0]
    assert json.loads(check[check.index("[") :]) == ["python", "-S", "-m", "service.alive"]
    assert b"GET /livez " in REQUEST


def test_the_image_cannot_install_anything() -> None:
    """Neither the environment nor the base image's Python has pip in the last stage."""
    assert "--without-pip" in DOCKERFILE
    assert "site-packages/*" in instruction("RUN")
    assert "ensurepip" in instruction("RUN")


def test_no_log_fills_the_disk_and_everything_has_time_to_end(composed: dict[str, Any]) -> None:
    """Logs are cut off and kept in a few files; whoever ends a container waits longer than it takes."""
    for service in composed.values():
        assert set(service["logging"]["options"]) == {"max-size", "max-file"}
        assert int(service["stop_grace_period"].removesuffix("s")) > 10
    assert {name for name, service in composed.items() if "mem_limit" not in service} == {"redis"}  # maxmemory is its


def test_the_image_is_made_of_locked_packages() -> None:
    """Packages are installed by hash, from no address that is written down."""
    assert "--require-hashes" in DOCKERFILE
    assert "requirements-run.lock" in DOCKERFILE
    assert "://" not in DOCKERFILE.replace("http://127.0.0.1", "")


def test_the_image_holds_our_code_and_nothing_else() -> None:
    """Every room but devstack goes into the image; what is not named does not."""
    rooms = set(CONFIGURATION["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) - NOT_IN_THE_IMAGE
    let_in = {line.strip("!/") for line in IGNORED_BY_DOCKER if line.startswith("!")}
    assert "*" in IGNORED_BY_DOCKER
    assert let_in == rooms | {"operator_status", "requirements-run.lock", "LICENSE"}


def test_redis_keeps_what_it_is_given(composed: dict[str, Any]) -> None:
    """Redis never drops a key, and has its data after a restart."""
    command = composed["redis"]["command"]
    assert f"--maxmemory-policy {NO_EVICTION}" in command
    assert "--appendonly yes" in command
    assert composed["redis"]["volumes"]


def test_kafka_keeps_its_data_outside_of_the_container(composed: dict[str, Any]) -> None:
    """The log's folder is the volume."""
    assert composed["kafka"]["volumes"] == [f"kafka:{composed['kafka']['environment']['KAFKA_LOG_DIRS']}"]


def test_our_containers_have_no_rights(composed: dict[str, Any]) -> None:
    """Each of our containers drops every capability and cannot write to its disk."""
    ours = {name: service for name, service in composed.items() if service["image"] == OUR_IMAGE}
    assert ours.keys() == {"topics", "projector", "api", "demo"}
    for service in ours.values():
        assert service["cap_drop"] == ["ALL"]
        assert service["read_only"] is True


def test_ports_are_published_to_this_machine_only(composed: dict[str, Any]) -> None:
    """Nobody else on the network reaches Kafka, Redis or the API unless it was asked for."""
    published = [port for service in composed.values() for port in service.get("ports", ())]
    assert len(published) == 4
    to_this_machine = ("127.0.0.1:", "${API_HOST:-127.0.0.1}:", "${PROXY_HOST:-127.0.0.1}:")
    assert all(port.startswith(to_this_machine) for port in published)


def test_several_apis_run_behind_a_proxy(composed: dict[str, Any]) -> None:
    """The API's port may be a range; the proxy runs the example, without rights, and only when it is asked for."""
    assert composed["api"]["ports"] == ["${API_HOST:-127.0.0.1}:${API_PORT:-8080}:8080"]
    assert "container_name" not in composed["api"]
    proxy = composed["proxy"]
    assert proxy["profiles"] == ["proxy"]
    ((source, target, mode),) = (volume.split(":") for volume in proxy["volumes"])
    assert (PROJECT / source).is_file()
    assert target in proxy["entrypoint"]
    assert mode == "ro"
    assert proxy["cap_drop"] == ["ALL"]
    assert proxy["read_only"] is True
    assert not proxy["user"].startswith("0")
    assert proxy["ports"][0].endswith(":8443")
    assert "listen 8443 ssl" in (PROJECT / source).read_text()


def test_secrets_are_files(composed: dict[str, Any]) -> None:
    """Each secret is a file where the setting, or nginx, looks for it; one that is not given is an empty file."""
    secrets = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["secrets"]
    readers = {
        "api": {"api_admin_tokens", "redis_url"},
        "projector": {"kafka_sasl_plain_password", "redis_url"},
    }
    for name, wanted in readers.items():
        assert set(composed[name]["secrets"]) == wanted
        for secret in wanted:
            variable = f"{secret.upper()}_FILE"
            assert composed[name]["environment"][variable] == f"${{{variable}:+/run/secrets/{secret}}}"
    for secret in composed["proxy"]["secrets"]:
        assert f"/run/secrets/{secret};" in (PROJECT / "deploy/nginx.conf").read_text()
    used = {secret for service in composed.values() for secret in service.get("secrets", ())}
    assert secrets == {name: {"file": f"${{{name.upper()}_FILE:-./deploy/no-secret}}"} for name in used}
    assert (PROJECT / "deploy/no-secret").read_bytes() == b""


def test_everything_starts_after_what_it_needs(composed: dict[str, Any]) -> None:
    """Every service that another one waits for says when it is ready; what may die is started again."""
    for service in composed.values():
        for name, condition in service.get("depends_on", {}).items():
            if condition["condition"] == "service_healthy":
                assert "test" in composed[name]["healthcheck"]
    assert {name for name, service in composed.items() if "restart" not in service} == {"topics"}


def test_there_are_no_secrets_and_no_unknown_settings(composed: dict[str, Any]) -> None:
    """Tokens come from outside; every setting of ours is one that exists."""
    known = {name.upper() for name in ProjectorSettings.model_fields | ApiSettings.model_fields}
    known |= {f"{name}_FILE" for name in known}
    for service in composed.values():
        if service["image"] == OUR_IMAGE:
            assert set(service["environment"]) <= known
    assert composed["api"]["environment"]["API_ADMIN_TOKENS"] == "${API_ADMIN_TOKENS:-}"
