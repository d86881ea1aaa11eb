"""Runs the command of a driver in a process of its own, as Git does."""

import sys

from dsvc.cli import drivers

if __name__ == "__main__":
    command = getattr(drivers, sys.argv[1].replace("-", "_") + "_command")
    sys.exit(command.main(sys.argv[2:], standalone_mode=False))
