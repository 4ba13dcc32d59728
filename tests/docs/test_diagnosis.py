"""The page on diagnosis says what the code does: the table of causes, and an example of each."""

import json
import re

from schemas.diagnosis.causes import CAUSES, CODES, UNDETERMINED, UNFINISHED_CODES
from tests.support.diagnosed import diagnosis_of
from tests.support.markdown import DOCS, blocks, table

PAGE = DOCS / "diagnosis.md"


def test_the_table_of_causes_is_the_one_of_the_code() -> None:
    """Every cause is there, in the order of its urgency, with whose turn it is and whether waiting helps."""
    told = [(cells[0].strip("`"), *cells[4:]) for cells in table(PAGE, "Causes")]
    known = [(cause.code, cause.actor, "yes" if cause.retriable else "no") for cause in (*CAUSES, UNDETERMINED)]
    assert told == known


def test_there_is_an_alarm_for_each_cause_of_an_unfinished_job() -> None:
    """The operations' page says what to do about each code that jobs are counted by, and of no other one."""
    page = (DOCS / "operations.md").read_text()
    alarmed = re.findall(r'^\| `[^`]*projector_diagnosed_jobs\{code="([^"]+)"\}', page, re.MULTILINE)
    assert sorted(alarmed) == sorted(UNFINISHED_CODES)


def test_every_cause_has_an_example_that_holds() -> None:
    """What an example gives is diagnosed as it says, word by word, and its evidence is what the table names."""
    examples = [json.loads(block.text) for block in blocks(PAGE)]
    evidence = {cells[0].strip("`"): cells[2] for cells in table(PAGE, "Causes")}
    found = dict(zip(CODES, zip(examples[::2], examples[1::2], strict=True), strict=True))
    for code, (given, expected) in found.items():
        assert expected["code"] == code
        assert expected in diagnosis_of(given)
        assert all(f"`{name}`" in evidence[code] for name in expected["evidence"])
