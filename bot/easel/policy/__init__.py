"""Who may draw, how much, and what: decisions, without any I/O."""
