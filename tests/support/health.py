"""What a projector says of itself."""

import urllib.error
import urllib.request


def ready(port: int) -> tuple[int, str]:
    """Return status and text of a projector's readiness."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz?verbose", timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)
