"""A process that saves again and again, and its sudden end."""

from __future__ import annotations

import signal
import subprocess
import sys
import time


def kill_while_it_saves(code: str, delay: float) -> None:
    """Run code that prints a line once it is in its loop; SIGKILL it ``delay`` s later.

    Args:
        code: Python that never ends.
        delay: Seconds from its first line to its end.
    """
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process:
        assert process.stdout.readline().strip() == b"saving"
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
