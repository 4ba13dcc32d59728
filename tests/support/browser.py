"""The browser that tests of pages use."""

import shutil
from typing import Final

# The shell draws and does the same as the whole browser, for a tenth of the work: it has no window around its pages.
CHROMIUM: Final = shutil.which("chromium-headless-shell") or "/usr/bin/chromium"
