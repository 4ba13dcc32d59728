"""`python -m projector`."""

from service.entry import run


def main() -> None:
    """Run the command line."""
    run("projector", "projector.commands.command_line:commands")


if __name__ == "__main__":
    main()
