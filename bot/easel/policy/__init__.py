"""Who may draw, how much, and what. Decisions without I/O, but for the power levels that rooms give."""
