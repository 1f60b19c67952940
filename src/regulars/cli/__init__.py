"""Command groups, one file each. `regulars.cli.__main__` adds `start`, `setup`, `worker` and `doctor`."""
