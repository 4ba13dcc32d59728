"""Readers that never stop: they ask the API, several at a time, and write down what they see."""

import asyncio
import time
from datetime import datetime
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Final

import aiohttp

from tests.torture.clients.observation import Observation, Query
from tests.torture.clients.traffic import SentJob, Traffic
from tests.torture.system.system import ADMIN_TOKEN, System

if TYPE_CHECKING:
    from collections.abc import Sequence

READERS: Final = 6
STATUS_PATH: Final = "/api/v1/operator/status"
LAG: Final = "Projection-Lag"
HEARTBEAT: Final = "Projection-Heartbeat"
UNKNOWN: Final = "unknown"
PATIENCE_SECONDS: Final = 5.0
PAUSE_SECONDS: Final = (0.01, 0.15)
DISAPPOINTED_SECONDS: Final = 0.1
LONGEST_WATCH: Final = 20  # questions about one job, one after the other
RECENT, LISTING, OWNER = 0.8, 0.12, 0.3  # shares
LISTED_JOBS: Final = 200  # whose owners and agreements are listed, over and over


class Readers:
    """Asks as several users do, each watching one thing for a while."""

    def __init__(self, system: System, traffic: Traffic, seed: int) -> None:
        self.observations: list[Observation] = []
        self._system = system
        self._traffic = traffic
        self._seed = seed
        self._listed: list[SentJob] = []

    async def run(self) -> None:
        """Ask until cancelled."""
        timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
        async with (
            aiohttp.ClientSession(self._system.api_address, timeout=timeout) as session,
            asyncio.TaskGroup() as it,
        ):
            for number in range(READERS):
                it.create_task(self._read(session, Random(f"{self._seed}/{number}")))

    async def _read(self, session: aiohttp.ClientSession, random: Random) -> None:
        while True:
            await asyncio.sleep(random.uniform(*PAUSE_SECONDS))
            if not self._traffic.recent:
                continue
            if len(self._listed) < LISTED_JOBS:
                others = (job for job in self._traffic.older if job.owner != self._traffic.largest_owner)
                self._listed = list(islice(others, LISTED_JOBS))
            if not self._listed:
                continue
            query = self._choose(random)
            for _ in range(random.randint(1, LONGEST_WATCH if query.is_of_one_job else 2)):
                seen = await ask(session, self._system, query)
                self.observations.append(seen)
                await asyncio.sleep(random.uniform(*PAUSE_SECONDS) if seen.status else DISAPPOINTED_SECONDS)

    def _choose(self, random: Random) -> Query:
        """Return what to watch: mostly a job that is under way."""
        is_admin = random.random() < 0.5
        if random.random() < LISTING:
            job = random.choice(self._listed)
            if random.random() < OWNER:
                return Query("owner", job.owner, is_admin)
            return Query("agreementId", job.agreement_id, is_admin)
        jobs: Sequence[SentJob] = self._traffic.recent if random.random() < RECENT else self._traffic.older
        return query_of(random.choice(jobs), is_admin=is_admin, is_whole=random.random() < 0.2)


def query_of(job: SentJob, *, is_admin: bool, is_whole: bool) -> Query:
    """Return the query for a job: by its id alone, or by its whole identity."""
    if is_whole:
        return Query("jobId", job.job_id, is_admin, job.owner, job.agreement_id)
    return Query("jobId", job.job_id, is_admin)


async def ask(session: aiohttp.ClientSession, system: System, query: Query) -> Observation:
    """Ask once and return what is seen; no answer is one too."""
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"} if query.is_admin else {}
    life, started, began = system.api.number, time.time(), time.monotonic()
    try:
        async with session.get(STATUS_PATH, params=query.parameters, headers=headers) as response:
            body = await response.read()
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        fault = str(error) or type(error).__name__
        return Observation(query, started, started + time.monotonic() - began, life, 0, None, b"", fault)
    ended = started + time.monotonic() - began  # whatever is done meanwhile to the machine's clock
    if life != system.api.number:
        return Observation(query, started, ended, life, 0, None, b"", "the API was started again meanwhile")
    system.api.answers()
    lag, heartbeat = (response.headers.get(name, UNKNOWN) for name in (LAG, HEARTBEAT))
    return Observation(
        *(query, started, ended, life, response.status, None if lag == UNKNOWN else int(lag), body),
        heartbeat=None if heartbeat == UNKNOWN else datetime.fromisoformat(heartbeat).timestamp(),
    )
