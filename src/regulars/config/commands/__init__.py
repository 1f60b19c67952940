"""The command line's groups, a file each. `regulars.config.cli` joins them to what starts and runs the house."""
