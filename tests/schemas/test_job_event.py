"""The published JSON Schema of the job event: its example, and patterns that every engine reads the same way."""

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.job_event import EXAMPLE, SCHEMA, VALIDATOR

CONTRACT_EXAMPLE = """
{"specversion": "1.0", "id": "3333-finished-1", "source": "/workers/gpu-7", "type": "operator.job.finished",
 "time": "2020-10-01T01:00:00Z", "datacontenttype": "application/json",
 "data": {"owner": "0x1111", "agreementId": "0x2222", "jobId": "3333", "attempt": 1,
          "outputsURL": ["http://example.net/logs/output/0", "http://example.net/logs/output/1"]}}
"""
# What ECMA-262 (with and without its `u` flag), RE2, Rust and Python read alike.
PORTABLE_ESCAPES = {"\\u", "\\.", "\\\\", "\\[", "\\]"}
WORDS = ["http://", "HTTPS://", "a", "Z", "0x", "1F", "2020-10-01", "T", "23:59:60", ".5", "+01:00"]
WORDS += ["[::1]", ":65535", ":065536", "%2F", "e30=", "AAAA"]
SIGNS = "/?#@:\\[]%<>^|=+ \n\t\x7f\u0085\u00a0\u0130\u2028\u202e\ufeffé😀２"
FRAGMENTS = st.sampled_from([*WORDS, *SIGNS])
NEARLY = st.lists(FRAGMENTS | st.characters(exclude_categories=["Cs"])).map("".join)


def patterns_of(schema: Any) -> Iterator[str]:
    """Yield every pattern in a schema."""
    if isinstance(schema, dict) and isinstance(pattern := schema.get("pattern"), str):
        yield pattern
    if isinstance(schema, dict | list):
        for part in schema.values() if isinstance(schema, dict) else schema:
            yield from patterns_of(part)


PATTERNS = sorted(set(patterns_of(SCHEMA)))
COMPILED = {pattern: re.compile(pattern.removesuffix("$") + r"\Z") for pattern in PATTERNS}


def test_the_schema_is_one() -> None:
    """What is published is a JSON Schema of the dialect that it names, and can be written as JSON."""
    assert jsonschema_rs.meta.is_valid(json.loads(json.dumps(SCHEMA)))
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_example_is_that_of_the_contract() -> None:
    """The schema's example is the contract's, and is valid."""
    assert json.loads(CONTRACT_EXAMPLE) == EXAMPLE
    assert VALIDATOR.is_valid(json.loads(CONTRACT_EXAMPLE))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_is_anchored_and_portable(pattern: str) -> None:
    """A pattern holds for the whole text and uses nothing that engines read differently."""
    assert (pattern[0], pattern[-1]) == ("^", "$")
    assert set(re.findall(r"\\.", pattern)) <= PORTABLE_ESCAPES
    assert "(?" not in pattern


@pytest.mark.parametrize("pattern", PATTERNS)
@given(text=NEARLY)
def test_engines_agree_on_a_pattern(pattern: str, text: str) -> None:
    """Our validator and an independent engine match the same texts."""
    validator = jsonschema_rs.validator_for({"pattern": pattern}, pattern_options=jsonschema_rs.RegexOptions())
    assert validator.is_valid(text) == (COMPILED[pattern].match(text) is not None)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize(
    "text",
    [
        "x" * 100_000 + "\n",
        "x" + " " * 100_000,
        "x " * 50_000,
        "http://" + "a" * 100_000 + "@",
        "http://a/" + "?" * 100_000 + " ",
        "0x" + "1" * 100_000 + "g",
        "http://a:" + "0" * 100_000 + "x",
        "http://" + "%20" * 30_000 + "%",
        "http://[" + ":" * 100_000,
        "A" * 100_001,
        "A" * 100_000 + "===",
        "2020-10-01T01:00:00." + "0" * 100_000,
    ],
    ids=lambda text: text[:22],
)
def test_a_pattern_cannot_be_made_to_backtrack(pattern: str, text: str) -> None:
    """Even in an engine that backtracks, matching a crafted text takes time linear in its length."""
    begin = time.process_time()
    COMPILED[pattern].match(text)
    assert time.process_time() - begin < 0.1
