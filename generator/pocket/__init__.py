"""Pocket's weights, loaded like any other model's. ``training/pocket`` has how they were made."""
