"""``python -m generator bench``: measure stock diffusers and Easel in one run on this machine."""
