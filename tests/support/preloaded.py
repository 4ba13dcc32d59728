"""What the processes that tests fork have imported beforehand: all that a program imports when it is run."""

import gc
import sys
from importlib import import_module

NEEDED = (
    "api.command_line",
    "projector.commands.command_line",
    "worker.command_line",
    "tests.support.followers",
    "prometheus_client.multiprocess",
    "uvloop",
)
# It is run as a program, which is when its module is made.
PROGRAM = "tests.support.hindered"

for module in (*NEEDED, PROGRAM):
    import_module(module)
del sys.modules[PROGRAM]

# What is there is shared with every fork; a collection that looked at it would copy it.
gc.collect()
gc.freeze()
