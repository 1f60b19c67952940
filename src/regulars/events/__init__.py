"""What happened: sources, the inbox that nothing is lost from, and the events themselves."""
