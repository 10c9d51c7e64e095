"""What comes from rooms: the sync, missed events, and the routing of events to handlers."""
