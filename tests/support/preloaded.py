"""What the processes that tests fork have imported beforehand."""

import gc
import sys

import api.__main__
import projector.__main__
import worker.__main__
from tests.support import hindered

# They are run as programs, which is when these modules are made.
for module in (api.__main__, projector.__main__, worker.__main__, hindered):
    del sys.modules[module.__name__]

# What is there is shared with every fork; a collection that looked at it would copy it.
gc.collect()
gc.freeze()
