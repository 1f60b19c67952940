"""Small named tools. Each file is one idea; there is no `utils`."""
