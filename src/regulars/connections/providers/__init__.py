"""The built-in kinds of provider: one file each, registered as third-party ones are (`regulars.providers`)."""
