"""`python -m worker`."""

from service.entry import run


def main() -> None:
    """Run the command line."""
    run("worker", "worker.command_line:worker")


if __name__ == "__main__":
    main()
