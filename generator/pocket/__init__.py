"""Pocket's weights, loaded like any other model's. ``training/pocket`` makes them."""
