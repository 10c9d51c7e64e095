"""``python -m generator bench``: the stock diffusers pipeline beside ours, in one run on this machine."""
