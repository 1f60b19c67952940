"""Only the tests have it: a server under test does without, as an installation does."""

raise ImportError("only the tests have this package")
