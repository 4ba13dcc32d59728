"""`status-worker`, also as `python -m operator_status`."""


def main() -> None:
    """Run the command line."""
    from operator_status.commands.command_line import run  # noqa: PLC0415 - Ctrl-C before is nobody's fault

    run()


if __name__ == "__main__":
    main()
