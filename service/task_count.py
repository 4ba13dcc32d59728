"""How many tasks the event loop of a process has, as one of its metrics."""

import asyncio

from prometheus_client import CollectorRegistry, Gauge


def count_tasks(registry: CollectorRegistry) -> None:
    """Show how many tasks the event loop has: a number that only grows tells of a leak."""
    Gauge("asyncio_tasks", "Tasks of the event loop.", registry=registry).set_function(_tasks)


def _tasks() -> int:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:  # asked for outside of the loop
        return 0
