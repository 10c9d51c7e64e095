"""What people ask for: one thin handler for each command, reaction and deletion."""
