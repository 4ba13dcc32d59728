"""`status-worker exec`: a command runs as if nobody stood between, and what becomes of it is reported."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import forks
from tests.support.deployment import wait_for
from tests.support.spooled import COMMAND, JOB, away, execute, left

pytestmark = pytest.mark.group("programs of workers")  # what forks them has imported once what they need

LIMIT_SECONDS = 60
KILLED = "ended by signal 9 (SIGKILL): out of memory, or killed by somebody"


def ended(spool: Path, *command: str, options: tuple[str, ...] = (), **others: str) -> tuple[int, bytes, bytes]:
    """Run a command to its end and return its exit code and what it said."""
    process = execute(spool, *command, options=options, **others)
    output, errors = process.communicate(timeout=LIMIT_SECONDS)
    return process.returncode, output, errors


@pytest.mark.parametrize(
    ("command", "code", "outcome", "error"),
    [
        (("true",), 0, "succeeded", None),
        (("sh", "-c", "exit 3"), 3, "failed", "exit code 3"),
        (
            ("sh", "-c", "kill -9 $$"),
            137,
            "failed",
            "ended by signal 9 (SIGKILL): out of memory, or killed by somebody",
        ),
        (("sh", "-c", "exit 137"), 137, "failed", "ended by signal 9 (SIGKILL): out of memory, or killed by somebody"),
        (("sh", "-c", "kill -11 $$"), 139, "failed", "ended by signal 11 (SIGSEGV)"),
        (("sh", "-c", "kill -15 $$"), 143, "cancelled", None),
        (("sh", "-c", "exit 130"), 130, "cancelled", None),
        (("no-such-command",), 127, "failed", "no-such-command: command not found"),
        (("/",), 126, "failed", "/: Permission denied"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_exit_codes_and_outcomes(
    tmp_path: Path, command: tuple[str, ...], code: int, outcome: str, error: str | None
) -> None:
    """The exit code is the command's, whatever becomes of the reports, and the outcome says what it means."""
    assert ended(tmp_path, *command)[0] == code
    started, *others, finished = left(tmp_path)
    assert started == {"stage": "started"}
    assert [event["stage"] for event in others] == ([] if code in {126, 127} else ["running"])
    assert finished == {"stage": "finished", "outcome": outcome} | ({"error": error} if error else {})


def test_streams_pass_through(tmp_path: Path) -> None:
    """What goes in and comes out is the command's, byte for byte."""
    process = execute(tmp_path, "sh", "-c", "cat; printf 'e\\377' >&2")
    output, errors = process.communicate(b"\x00\xff\n", timeout=LIMIT_SECONDS)
    assert output == b"\x00\xff\n"
    assert b"e\xff" in errors


def test_the_last_line_of_standard_error(tmp_path: Path) -> None:
    """By setting, the last line that a failed command wrote is the error; all of it is passed on."""
    script = "echo one >&2; echo 'two: no such file' >&2; echo >&2; exit 1"
    _, _, errors = ended(tmp_path, "sh", "-c", script, options=("--stderr-line",))
    assert b"one\ntwo: no such file\n\n" in errors
    assert left(tmp_path)[-1] == {"stage": "finished", "outcome": "failed", "error": "two: no such file"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_being_ended(tmp_path: Path, number: signal.Signals) -> None:
    """The signals by which schedulers end a job reach the command, which was then cancelled."""
    process = execute(tmp_path, "sh", "-c", "echo up; exec sleep 60")
    assert process.stdout
    process.stdout.readline()
    process.send_signal(number)
    process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 128 + number
    assert left(tmp_path)[-1] == {"stage": "finished", "outcome": "cancelled"}


def test_a_command_that_ends_by_itself_when_asked(tmp_path: Path) -> None:
    """A command that handles SIGTERM keeps its exit code, and was cancelled; other signals reach it too."""
    script = "trap 'echo usr1' USR1; trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done"
    process = execute(tmp_path, "sh", "-c", script)
    assert process.stdout
    process.stdout.readline()
    process.send_signal(signal.SIGUSR1)
    assert process.stdout.readline() == b"usr1\n"
    process.terminate()
    process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 5
    assert left(tmp_path)[-1]["outcome"] == "cancelled"


def test_a_signal_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    """Under nohup a hangup ends neither the command nor us."""
    script = "kill -HUP $PPID; kill -HUP $$; exit 4"
    exec_it = [*COMMAND, "exec", *JOB, "--", "sh", "-c", script]
    done = subprocess.run(
        ["nohup", *exec_it], env=away(tmp_path), capture_output=True, timeout=LIMIT_SECONDS, check=False
    )
    assert done.returncode == 4
    assert left(tmp_path)[-1]["outcome"] == "failed"


def test_ctrl_c_reaches_the_command_once(tmp_path: Path) -> None:
    """A terminal sends its interrupt to all processes in front of it; we send none of our own after it."""
    script = "import signal, time; n = []; signal.signal(2, lambda *_: n.append(1)); print('ready!', flush=True)\n"
    script += "while not n: time.sleep(0.01)\ntime.sleep(0.3); print('interrupts:', len(n), flush=True)"
    pid, terminal = pty.fork()
    if not pid:
        command = [*COMMAND, "exec", *JOB, "--", sys.executable, "-c", script]
        os.execve(command[0], command, away(tmp_path))  # noqa: S606 - the terminal's own process becomes it
    shown = b""
    while b"ready!" not in shown:
        shown += os.read(terminal, 1000)
    os.write(terminal, b"\x03")
    while b"interrupts:" not in shown:
        shown += os.read(terminal, 1000)
    os.waitpid(pid, 0)
    os.close(terminal)
    assert b"interrupts: 1" in shown


def test_stages_that_the_command_tells(tmp_path: Path) -> None:
    """A line of JSON in the command's file is a report; what is none is told at the end, and harms nothing."""
    script = (
        """echo '{"stage": "configuring", "configlogURL": "http://example.net/c"}' >> "$OPERATOR_STAGES_FILE"; """
        """echo 'rubbish' >> "$OPERATOR_STAGES_FILE"; echo '{"stage": "uploading"}' >> "$OPERATOR_STAGES_FILE"; """
        """printf '{"stage": "finished", "message": "m", """
        """"outputsURL": ["http://example.net/o"]}' >> "$OPERATOR_STAGES_FILE" """
    )
    code, _, errors = ended(tmp_path, "sh", "-c", script, options=("--log-url=http://example.net/log",))
    assert code == 0
    assert b"1 lines in OPERATOR_STAGES_FILE were no stages" in errors
    assert left(tmp_path) == [
        {"stage": "started"},
        {"stage": "running", "algologURL": "http://example.net/log"},
        {"stage": "configuring", "configlogURL": "http://example.net/c"},
        {"stage": "uploading"},
        {
            "stage": "finished",
            "outputsURL": ["http://example.net/o"],
            "algologURL": "http://example.net/log",
            "message": "m",
            "outcome": "succeeded",
        },
    ]


@pytest.mark.parametrize("number", [3, 4, 7])
def test_stages_by_a_descriptor(tmp_path: Path, number: int) -> None:
    """The command may write its stages to a descriptor of a number that it knows, beside the file or instead of it."""
    script = (
        """echo '{"stage": "configuring"}' >&$0; echo '{"stage": "uploading"}' >> "$OPERATOR_STAGES_FILE"; """
        """printf '{"stage": "finished", "message": "m"}' >&"$OPERATOR_STAGES_FD" """
    )
    code, _, errors = ended(tmp_path, "bash", "-c", script, str(number), options=(f"--stages-fd={number}",))
    assert (code, b"in use" in errors, b"no stages" in errors) == (0, False, False)
    assert [event["stage"] for event in left(tmp_path)] == [
        "started",
        "running",
        "configuring",
        "uploading",
        "finished",
    ]
    assert left(tmp_path)[-1]["message"] == "m"


def test_a_descriptor_that_is_in_use(tmp_path: Path) -> None:
    """A descriptor that the caller uses stays the command's as it was; that it tells no stages is told."""
    written = tmp_path / "written"
    command = [
        *COMMAND,
        "exec",
        *JOB,
        "--stages-fd=9",
        "--",
        "sh",
        "-c",
        "echo mine >&9; echo ${OPERATOR_STAGES_FD-none}",
    ]
    with_descriptor = ["bash", "-c", 'exec 9>"$0"; exec "$@"', str(written), *command]
    done = subprocess.run(with_descriptor, env=away(tmp_path), capture_output=True, timeout=LIMIT_SECONDS, check=False)
    assert (done.returncode, done.stdout) == (0, b"none\n")
    assert written.read_text() == "mine\n"
    assert b"descriptor 9, which is in use" in done.stderr


def test_signs_of_life(tmp_path: Path) -> None:
    """While the command runs its stage is repeated with a message, and what waits of that stays small."""
    process = execute(tmp_path, "sh", "-c", "read line", options=("--heartbeat=1",))
    wait_for(lambda: len(messages(tmp_path)) == 1, "the first sign of life")
    first = messages(tmp_path)
    wait_for(lambda: messages(tmp_path) not in ([], first), "another one")
    process.communicate(b"\n", timeout=LIMIT_SECONDS)
    assert [event["stage"] for event in left(tmp_path)] == ["started", "running", "running", "finished"]


def messages(spool: Path) -> list[str]:
    """Return the messages that wait; none while one is being replaced."""
    try:
        return [event["message"] for event in left(spool) if "message" in event]
    except OSError:
        return []


def test_wrong_settings_do_not_keep_a_command_from_running(tmp_path: Path) -> None:
    """Whatever is wrong with settings or with the identity is told, and the command runs as ever."""
    code, output, errors = ended(tmp_path, "sh", "-c", "echo ran; exit 7", KAFKA_BOOTSTRAP_SERVERS="kafka")
    assert (code, output) == (7, b"ran\n")
    assert b"nothing is reported: KAFKA_BOOTSTRAP_SERVERS" in errors
    code, output, errors = ended(tmp_path, "sh", "-c", "echo ran; exit 7", options=("--owner=alice", "--attempt=x"))
    assert (code, output) == (7, b"ran\n")
    assert b"owner: must be 0x" in errors


def test_the_command_knows_which_job_it_is(tmp_path: Path) -> None:
    """What runs in the command finds the job in its environment, and reports without options."""
    script = f"{sys.executable} -m operator_status publish uploading --dry-run"
    _, output, _ = ended(tmp_path, "sh", "-c", script)
    event = json.loads(output)
    assert (event["data"]["owner"], event["data"]["jobId"], event["source"]) == ("0x1111", "3333", "/workers/gpu-7")


def test_options_of_the_command_are_its_own(tmp_path: Path) -> None:
    """Also without -- what stands behind the command is the command's."""
    done = forks.run(("-m", "operator_status", "exec", *JOB, "sh", "-c", "exit 6"), away(tmp_path))
    assert done.returncode == 6
    assert left(tmp_path)[-1]["error"] == "exit code 6"
