"""What a command says once it is done: a sentence for people, or an object for programs."""

from dataclasses import dataclass
from typing import Any

import click
import orjson


@dataclass(frozen=True, slots=True)
class Outcome:
    """The sentence, and the same as facts."""

    sentence: str
    facts: dict[str, Any]

    def tell(self, *, as_json: bool, beside: bool = False) -> None:
        """Print it, on standard error where something else has standard output."""
        click.echo(orjson.dumps(self.facts) if as_json else self.sentence, err=beside)
