"""A path or a disk that cannot be used is told in one line, and nothing else is."""

import errno
import os

import pytest
import typer
from safetensors import SafetensorError
from typer.testing import CliRunner

from cotune.cli._disk import describe_disk_fault
from cotune.cli._group import Group


def system_error(number: int, *names: str) -> OSError:
    first, second = (*names, None, None)[:2]
    return OSError(number, os.strerror(number), first, None, second)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            system_error(errno.ENOSPC),
            "disk: there must be room to write, got: No space",
        ),
        (system_error(errno.ENOSPC, "a/b"), "a/b: there must be room to write"),
        (system_error(errno.EDQUOT, "a"), "a: there must be room to write"),
        (system_error(errno.EROFS, "a"), "a: must be a place where you may read and"),
        (system_error(errno.EACCES, "a"), "got: Permission denied. Choose another"),
        (system_error(errno.ENOTDIR, "a"), "a: must be a path that fits, got: Not a"),
        (system_error(errno.EISDIR, ".a.tmp", "a"), "a: must be a path that fits"),
        (
            SafetensorError("I/O error: No space left on device (os error 28)"),
            "disk: there must be room to write, got: No space left on device.",
        ),
        (
            SafetensorError('I/O error: No such (os error 2) at path "/x/.tmp"'),
            "/x/.tmp: must be a path that fits, got: No such file or directory.",
        ),
        (
            RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos"),
            "disk: a checkpoint must be written whole, got: [enforce fail",
        ),
    ],
)
def test_the_message_says_where_and_what_to_do(error, says) -> None:
    told = describe_disk_fault(error)
    assert told is not None
    assert says in told


def test_a_long_name_is_cut() -> None:
    told = describe_disk_fault(system_error(errno.ENAMETOOLONG, "x" * 5000))
    assert told is not None
    assert len(told) < 400


@pytest.mark.parametrize(
    "error",
    [
        OSError("no network"),
        ConnectionRefusedError(errno.ECONNREFUSED, "refused"),
        FileNotFoundError(errno.ENOENT, "no name"),
        SafetensorError("Error while deserializing header"),
        RuntimeError("shapes differ"),
    ],
)
def test_what_is_no_matter_of_disks_keeps_its_traceback(error) -> None:
    assert describe_disk_fault(error) is None

    def fail() -> None:
        raise error

    small = typer.Typer(cls=Group, pretty_exceptions_enable=False)
    small.command("fail")(fail)
    small.command("other")(lambda: None)
    assert CliRunner().invoke(small, ["fail"]).exception is error


def test_a_full_disk_ends_a_command_with_one_message_and_code_2() -> None:
    def fail() -> None:
        raise system_error(errno.ENOSPC, "runs/a")

    small = typer.Typer(cls=Group, pretty_exceptions_enable=False)
    small.command("fail")(fail)
    small.command("other")(lambda: None)
    result = CliRunner().invoke(small, ["fail"])
    assert result.exit_code == 2
    assert result.stderr.startswith("cotune: runs/a: there must be room to write")
