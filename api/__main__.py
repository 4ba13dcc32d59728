"""`python -m api`."""

from service.entry import run


def main() -> None:
    """Run the command line."""
    run("api", "api.command_line:api")


if __name__ == "__main__":
    main()
