"""The command line's groups, a file each. `regulars.cli.__main__` joins them to what starts and runs the house."""
