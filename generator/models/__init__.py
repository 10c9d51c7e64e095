"""The models that the generator knows: their cards, and their weights on this machine. Never imports torch."""
