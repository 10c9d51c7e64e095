"""Who may draw, how much, and what. Decisions without I/O, except for the power levels in rooms."""
