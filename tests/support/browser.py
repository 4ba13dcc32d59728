"""The browser that tests of pages use."""

from pathlib import Path
from typing import Final

# Debian's headless shell draws and does the same as the whole browser, for a tenth of the work: it has no window around
# its pages. Not the command of that name, which leaves the shell running when it is ended.
_SHELL: Final = Path("/usr/lib/chromium/chromium-headless-shell")
CHROMIUM: Final = str(_SHELL) if _SHELL.exists() else "/usr/bin/chromium"
