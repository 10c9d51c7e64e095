"""What comes from rooms: the sync, what was missed, and whose turn it is to read an event."""
