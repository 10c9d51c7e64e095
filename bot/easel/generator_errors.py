"""Why the generator gave no picture: one family, one sentence each.

``str()`` of every one of them may be shown to the person who typed. ``__cause__`` is for the log.
"""


class GeneratorError(Exception):
    """Base: no picture, for a reason that can be said in a sentence."""

    sentence = "The generator had a problem."

    def __init__(self, sentence: str | None = None) -> None:
        super().__init__(sentence or self.sentence)


class GeneratorAway(GeneratorError):
    """Nobody answers; a later try may work."""

    sentence = "The generator does not answer. Try again in a moment."


class NotRunning(GeneratorAway):
    sentence = "The generator is not running, so I cannot draw right now. Start it and ask me again."


class SocketMissing(NotRunning):
    def __init__(self, path: str) -> None:
        super().__init__(f"The generator is not running: there is no socket at {path}. Start it and ask me again.")


class SocketForbidden(GeneratorError):
    def __init__(self, path: str) -> None:
        super().__init__(
            f"I may not open the generator's socket at {path}: maubot's user must be in the socket's group."
        )


class CertificateRefused(GeneratorError):
    sentence = "I do not trust the generator's certificate: generator_ca_file must name the one that signed it."


class TokenRefused(GeneratorError):
    sentence = "The generator refused my token: generator_token must be what its token_file holds."


class OtherVersion(GeneratorError):
    def __init__(self, *, ours: str, theirs: str, upgrade: str) -> None:
        super().__init__(f"The generator is version {theirs} and I am {ours}, so we do not match. Upgrade {upgrade}.")


class NotUnderstood(GeneratorError):
    sentence = "I did not understand the generator's answer. Is generator_url really Easel's generator?"


class TooMuch(GeneratorError):
    sentence = "The generator sent more than a picture can be, so I stopped reading."


class QueueFull(GeneratorError):
    def __init__(self, sentence: str, retry_after_s: int | None) -> None:
        wait = f" Try again in {retry_after_s} s." if retry_after_s else " Try again in a moment."
        super().__init__(sentence + wait)


class NotNow(GeneratorError):
    """The generator runs and takes no jobs: it starts or stops."""


class Refused(GeneratorError):
    """The generator's own sentence about what was asked; it names value, limit and choices."""


class Failed(GeneratorError):
    """The generator's own sentence about a drawing that gave no picture."""


class Cancelled(GeneratorError):
    sentence = "The drawing was cancelled."


class Interrupted(GeneratorError):
    sentence = "The generator went away in the middle of drawing and did not come back. Please ask me again."


class Restarted(GeneratorError):
    sentence = "The generator was restarted in the middle of drawing and forgot this picture. Please ask me again."
