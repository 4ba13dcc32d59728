"""Programs that come in Python packages."""

from importlib.util import find_spec
from pathlib import Path


def packaged_binary(package: str, pattern: str) -> str | None:
    """Return the file of an installed package that matches the pattern, None when there is none."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return None
    found = next(Path(spec.origin).parent.glob(pattern), None)
    return str(found) if found else None
