"""The versions of the packages that draw: a picture's facts, remembered ways and a benchmark name them."""

from functools import cache
from importlib import metadata

import torch


# Cached, since it reads a file of the package.
@cache
def version(package: str) -> str:
    """A package's version, that of torch with its build, which its metadata may leave out; ``none`` without it."""
    if package == "torch":
        # torch.__version__ is a subclass of str: to unpickle it, the server's process would import torch.
        return str(torch.__version__)
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"
