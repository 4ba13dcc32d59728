"""The page's files, as they are served."""

from pathlib import Path

import pytest

from schemas.lifecycle import STAGES
from tests.support.client import Client

pytestmark = [pytest.mark.server, pytest.mark.group("page")]
WITH_API = pytest.mark.asyncio(loop_scope="session")

FOLDER = Path(__file__).parents[3] / "api/web/page"
TYPES = {".js": "text/javascript", ".css": "text/css", ".ts": "text/plain"}
LONGEST_LINES, MOST_FILES = 200, 14


@WITH_API
async def test_each_file_has_its_type_and_is_not_sent_twice(api: Client) -> None:
    """Each file is served at its place with its type, and not sent again to a browser that has it."""
    files = [path for path in FOLDER.rglob("*") if path.suffix in TYPES]
    assert len(files) > 15
    for path in files:
        target = f"/page/{path.relative_to(FOLDER)}"
        answer = await api.get(target)
        assert (answer.status, answer.body) == (200, path.read_bytes())
        assert answer.headers["Content-Type"] == f"{TYPES[path.suffix]}; charset=utf-8"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert (await api.get(target, If_None_Match=answer.headers["ETag"])).status == 304


@WITH_API
async def test_the_page_knows_the_lifecycle(api: Client) -> None:
    """The steps and their wording are told to the page by what states them for everybody."""
    module = (await api.get("/page/stages.js")).body.decode()
    assert all(f'"{stage.name}"' in module and f'"{stage.text}"' in module for stage in STAGES)


@WITH_API
async def test_nothing_else_is_served(api: Client) -> None:
    """No other path leads to a file."""
    for target in ("/page", "/page/", "/page/index.html", "/page/../status_page.py", "/page/%2e%2e/documents.py"):
        assert (await api.get(target)).status == 404


def test_the_files_are_small() -> None:
    """Each file can be read in one sitting, and each folder seen at a glance."""
    lengths = {path.name: len(path.read_text().splitlines()) for path in FOLDER.rglob("*") if path.is_file()}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_LINES} == {}
    folders = [FOLDER, *(path for path in FOLDER.iterdir() if path.is_dir())]
    assert all(len([path for path in folder.iterdir() if path.is_file()]) <= MOST_FILES for folder in folders)


@WITH_API
async def test_the_modules_for_other_pages_are_one_file_each(api: Client) -> None:
    """What other pages include needs no second file, and is readable by them."""
    for path in ("/client.js", "/embed.js"):
        answer = await api.get(path)
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Content-Type"].startswith("text/javascript")
        assert "import " not in answer.body.decode().replace("import.meta", "")
    declared = (await api.get("/client.d.ts")).body.decode()
    exported = {line.split("(")[0] for line in declared.splitlines() if line.startswith("export function")}
    assert exported == {"export function follow"}
