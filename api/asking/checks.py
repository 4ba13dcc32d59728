"""What readiness says of the projection, which the metrics learn too: nobody may be asking for jobs."""

from api.asking.freshness import iso
from api.metrics import Metrics
from api.projection.errors import UnavailableError
from api.projection.projection import Projection
from service.health import Remark


async def check_projection(projection: Projection, metrics: Metrics) -> str | None:
    """Return why the projection cannot be shown, or a Remark of what is held in it or not known of it."""
    try:
        fresh = await projection.freshness()
    except UnavailableError as error:
        metrics.unknown()
        return str(error)
    metrics.fresh(fresh.lag, fresh.held)
    if fresh.lag is not None and not fresh.held:
        return None
    lag = "how many events are missing is unknown" if fresh.lag is None else f"{fresh.lag} events are missing"
    since = "never" if fresh.heartbeat is None else f"last at {iso(fresh.heartbeat)}"
    held = f"; held: {', '.join(fresh.held)}" if fresh.held else ""
    return Remark(f"{lag}, confirmed {since}{held}")
