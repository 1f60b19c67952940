"""The built-in kinds of destination, one module each."""
