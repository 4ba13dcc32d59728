"""The rooms inside of `operator_status`: reports walk from the reporter to Kafka, and imports go the same way."""

from typing import Final

# Which other rooms of `operator_status` each of them may import. Modules at the root that import no room are for all.
ROOMS_OF_OPERATOR_STATUS: Final = {
    "operator_status.diagnosis": frozenset[str](),
    "operator_status.delivery": frozenset({"operator_status.diagnosis"}),
    "operator_status.reporting": frozenset({"operator_status.delivery"}),
    "operator_status.executing": frozenset[str](),
    # What a person types: it may use whatever there is.
    "operator_status.commands": frozenset(
        {
            "operator_status.delivery",
            "operator_status.executing",
            "operator_status.reporting",
        }
    ),
}
