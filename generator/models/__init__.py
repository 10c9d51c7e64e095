"""Which models there are: their cards, and their weights on this machine. Never imports torch."""
