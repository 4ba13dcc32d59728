"""Reads: status queries of one job beside a constant body from the same kind of server."""

import shutil
import subprocess
import sys
from collections.abc import Iterator

from devstack import free_port
from tests.bench.catch_up import CatchUp
from tests.support.deployment import wait_for

WRK = ("wrk", "-t1", "-c64", "-d5s", "--latency")
ROUNDS = 3
CONSTANT = """
import sys
from aiohttp import web
import uvloop
BODY = b'[' + b'x' * 430 + b']'
async def answer(request):
    return web.Response(body=BODY, content_type="application/json")
app = web.Application()
app.router.add_get("/", answer)
uvloop.install()
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
"""


def measure_reads(run: CatchUp) -> Iterator[str]:
    """Yield the lines that tell requests per second and 99th percentile; needs `wrk` on PATH."""
    if not shutil.which("wrk"):
        yield "reads: not measured, install wrk"
        return
    process = run.deployment.start_projector()
    run.deployment.wait_until_applied(300.0)
    address = run.deployment.start_api()
    job_id = _any_job_id(run)
    port = free_port()
    constant = subprocess.Popen([sys.executable, "-c", CONSTANT, str(port)])
    try:
        wait_for(lambda: _rate(f"http://127.0.0.1:{port}/", "-d1s")[0], "the constant body")
        yield "status query of one job beside a constant body of the same size (wrk, 64 connections)"
        for _ in range(ROUNDS):
            plain, plain_late = _rate(f"http://127.0.0.1:{port}/")
            ours, late = _rate(f"{address}/api/v1/operator/status?jobId={job_id}")
            before = f"constant {plain:>8,.0f}/s (p99 {plain_late})"
            yield f"  {before}   query {ours:>8,.0f}/s (p99 {late})   {ours / plain:.2f} times"
    finally:
        constant.terminate()
        constant.wait()
        run.deployment.stop(process)


def _any_job_id(run: CatchUp) -> str:
    key = next(run.deployment.redis.scan_iter(match="*:jobid:*"))
    return str(key.decode().rpartition("jobid:")[2])


def _rate(address: str, *options: str) -> tuple[float, str]:
    """Return requests per second and the 99th percentile as wrk prints it."""
    done = subprocess.run([*WRK, *options, address], capture_output=True, text=True, check=False)
    words = done.stdout.split()
    if "Requests/sec:" not in words:
        return 0.0, ""
    return float(words[words.index("Requests/sec:") + 1]), words[words.index("99%") + 1]
