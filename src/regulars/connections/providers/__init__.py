"""What each kind of provider asks and tells: one file each, registered as a stranger's would be (`regulars.providers`)."""
