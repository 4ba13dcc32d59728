"""One run of `watch`: who is asked, who is told, and the last word."""

from service.signals import stop_on_signals
from worker.watching.asking.api import connected
from worker.watching.ending import Ending
from worker.watching.settings import WatchSettings
from worker.watching.telling.lines import Lines
from worker.watching.telling.screen import Screen
from worker.watching.verdict import Wait
from worker.watching.watch import Teller, Watch


async def run(settings: WatchSettings, wait: Wait, *, is_for_programs: bool) -> Ending:
    """Watch until it is decided how the wait ends, and tell it all the while."""
    is_asked_to_end = stop_on_signals()
    watching = Watch(wait)
    teller: Teller = Lines() if is_for_programs else Screen(watching.jobs)
    with teller:
        async with connected(settings) as api:
            ended = await watching.run(api, teller, is_asked_to_end)
        teller.end(ended, wait.goal.until, watching.jobs())
    return ended.ending
