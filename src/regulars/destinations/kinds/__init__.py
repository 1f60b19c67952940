"""The kinds of destination that come with the house, one module each."""
