"""What holds for all tests: they leave nothing in the user's own folders."""

import os

os.environ["RNN_ENGINE_CACHE"] = "off"  # in child processes, too
