"""The status page and what other pages include: files, served as they are, at paths relative to the page's own.

Nothing is built. `client.js` and `embed.js` are their modules one after the other, so that a page elsewhere includes
one file, which an integrity hash covers as a whole.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath
from typing import Final

import orjson
from multidict import CIMultiDict

from api.exchange import Answer
from schemas.lifecycle import STAGES
from service.version import __version__

_POLICY: Final = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",  # text never becomes markup, not even by a mistake of ours
    "trusted-types 'none'",
)
CLIENT_PATH: Final = "/client.js"
EMBED_PATH: Final = "/embed.js"
# The same bytes for as long as the version is the same: for pages that name their hash.
EMBED_VERSION_PATH: Final = f"/embed-{__version__}.js"

_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ts": "text/plain; charset=utf-8",
}
_INDEX: Final = "index.html"
_STAGES: Final = "stages.js"
_CLIENT: Final = ("client/asking.js", "client/changes.js", "client/jobs.js", "client/client.js")
_EMBED: Final = (*_CLIENT, _STAGES, "standing.js", "client/element.js")
_IMPORT: Final = re.compile(r'^import [^;]* from "[^"]*";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=(?:class|function|const) )", re.MULTILINE)


def status_page() -> Mapping[str, Answer]:
    """Return every file of the page and for other pages, by its path."""
    texts = {_STAGES: _stages()} | dict(_texts(files("api.web") / "page"))
    page = {"/" if name == _INDEX else f"/page/{name}": _answer(name, text) for name, text in texts.items()}
    embed = _answer(EMBED_PATH, _joined(texts, _EMBED))
    return page | {
        CLIENT_PATH: _answer(CLIENT_PATH, _joined(texts, _CLIENT)),
        "/client.d.ts": _answer("client.d.ts", texts["client/client.d.ts"]),
        EMBED_PATH: embed,
        EMBED_VERSION_PATH: embed,
    }


def _stages() -> str:
    """Return the module that tells the page of the lifecycle."""
    names, texts = ([getattr(stage, what) for stage in STAGES] for what in ("name", "text"))
    return (
        "// The steps of a job, in their order.\n"
        f"export const STAGES = {orjson.dumps(names).decode()};\n"
        f"export const TEXTS = {orjson.dumps(texts).decode()};\n"
    )


def _texts(folder: Traversable, below: str = "") -> Iterator[tuple[str, str]]:
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _texts(item, f"{below}{item.name}/")
        else:
            yield below + item.name, item.read_text(encoding="utf-8")


def _joined(texts: Mapping[str, str], names: Sequence[str]) -> str:
    """Return modules as one that imports nothing and has the exports of the last."""
    *before, last = (_IMPORT.sub("", texts[name]) for name in names)
    return "\n".join([*(_EXPORT.sub("", text) for text in before), last])


def _answer(name: str, text: str) -> Answer:
    headers = {"Referrer-Policy": "no-referrer"}
    if name == _INDEX:
        headers["Content-Security-Policy"] = "; ".join(_POLICY)
    return Answer(text.encode(), CIMultiDict(headers), _TYPES[PurePosixPath(name).suffix])
