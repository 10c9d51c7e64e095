"""The generator: owns the card and draws pictures. Knows nothing of Matrix, rooms or people."""

import sys

__version__ = "0.1.0"

if sys.version_info < (3, 11):  # noqa: UP036 - an installation by hand gets a sentence, not a missing StrEnum
    raise ImportError(f"Easel needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
