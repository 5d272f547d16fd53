"""Ctrl-C while the command `attnkit` is being imported: it ends the process at once, as it ends other programs.

Python would raise KeyboardInterrupt somewhere in NumPy or in the core, and print a traceback that nobody can use. As
soon as the command itself runs it takes care of signals (`cli/shared/signals.py`); for programs that import attnkit
nothing changes.
"""

from __future__ import annotations

import os
import signal
import sys
import threading


def is_command() -> bool:
    """Whether this process is `attnkit ...` or `python -m attnkit ...`."""
    script = os.path.basename(sys.argv[0]) if sys.argv else ""
    if script == "-m":  # Python looks for the module, and imports the packages around it
        return any(sys.orig_argv[at : at + 2] in (["-m", "attnkit"], ["-m", "attnkit.cli.main"]) for at in (1, 2, 3))
    return script in ("attnkit", "attnkit.exe")


if (
    threading.current_thread() is threading.main_thread()
    and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    and is_command()
):
    signal.signal(signal.SIGINT, signal.SIG_DFL)
