"""The private names of others that the kit leans on are there, in the versions that are installed here."""

import subprocess
import sys
from typing import Any

import paramiko
from ipykernel.comm.comm import BaseComm
from ipykernel.iostream import OutStream
from paramiko.common import MSG_CHANNEL_DATA, MSG_CHANNEL_REQUEST

from fame_lab.core.compat import channel_handlers, kernel_stderr, reply_on_asking_shell

ENDS = """
import threading
from fame_lab.core.compat import at_threads_end
over = threading.Event()
at_threads_end(over.set)
threading.Thread(target=over.wait).start()
"""


def test_a_function_is_called_before_threads_are_waited_for() -> None:
    subprocess.run([sys.executable, "-c", ENDS], check=True, timeout=60)


def test_a_comms_messages_stay_on_the_shell_that_they_came_by() -> None:
    comm: Any = BaseComm.__new__(BaseComm)
    assert callable(comm._reply_subshell_for)
    reply_on_asking_shell(comm)
    assert comm._reply_subshell_for({}, "subshell-3") == "subshell-3"


def test_a_kernels_streams_know_what_they_stand_for() -> None:
    assert kernel_stderr() is None
    assert "_original_stdstream_copy" in OutStream.__init__.__code__.co_names


def test_paramiko_has_a_handler_for_what_a_channel_is_sent() -> None:
    assert {MSG_CHANNEL_DATA, MSG_CHANNEL_REQUEST} <= set(channel_handlers(paramiko.Transport))
