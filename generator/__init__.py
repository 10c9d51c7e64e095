"""The generator: owns the card and draws pictures. Knows nothing of Matrix, rooms or people."""

__version__ = "0.1.0"
