"""What goes into rooms: each event once, in order of importance, at the pace the homeserver allows."""
