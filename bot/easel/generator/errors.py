"""Why the generator gave no picture: one family, one sentence each.

``str()`` of each may be shown to the person who typed. ``__cause__`` is for the log.
"""


class GeneratorError(Exception):
    """Base: no picture, for a reason that fits in a sentence."""

    sentence = "The generator had a problem."

    def __init__(self, sentence: str | None = None) -> None:
        super().__init__(sentence or self.sentence)


class NotYet(GeneratorError):
    """No picture yet. The job waits, and is drawn when the reason in the sentence is gone."""

    # Ends the sentence "I'll draw it when …".
    until = "that has been mended"
    # Mostly over within seconds: not worth a notice at once.
    passes = False


class GeneratorAway(NotYet):
    """Nobody answers; a later try may work."""

    sentence = "The drawing machine does not answer."
    until = "it is back"


class NotRunning(GeneratorAway):
    sentence = "The drawing machine is off or asleep."


class SocketMissing(NotRunning):
    def __init__(self, path: str) -> None:
        super().__init__(f"The generator is not running: there is no socket at {path}.")


class SocketForbidden(NotYet):
    def __init__(self, path: str) -> None:
        super().__init__(
            f"I may not open the generator's socket at {path}: maubot's user must be in the socket's group."
        )


class CertificateRefused(NotYet):
    sentence = "I do not trust the generator's certificate: generator_ca_file must name the one that signed it."


class TokenRefused(NotYet):
    sentence = "The generator refused my token: generator_token must be what its token_file holds."


class OtherVersion(NotYet):
    def __init__(self, *, ours: str, theirs: str, upgrade: str) -> None:
        super().__init__(f"The generator is version {theirs} and I am {ours}, so we do not match. Upgrade {upgrade}.")


class QueueFull(NotYet):
    """The queue has no room. The sentence is the generator's; ``retry_after_s`` is when there may be room."""

    until = "there is room"
    passes = True

    def __init__(self, sentence: str, retry_after_s: int | None) -> None:
        super().__init__(sentence)
        self.retry_after_s = retry_after_s


class NotNow(NotYet):
    """The generator runs but takes no jobs: it starts or stops."""

    until = "it is ready"
    passes = True


class Interrupted(GeneratorAway):
    """The generator went away in the middle of a job, or forgot it."""

    sentence = "The drawing machine went away in the middle of drawing."
    passes = True


class NotUnderstood(GeneratorError):
    sentence = "I did not understand the generator's answer. Is generator_url really Easel's generator?"


class TooMuch(GeneratorError):
    sentence = "The generator sent more than a picture can be, so I stopped reading."


class Refused(GeneratorError):
    """The generator refused the request. Its own sentence names value, limit and choices; ``code`` is the kind."""

    def __init__(self, sentence: str | None = None, code: str = "") -> None:
        super().__init__(sentence)
        self.code = code


class Failed(GeneratorError):
    """The job gave no picture. The sentence is the generator's."""


class Cancelled(GeneratorError):
    sentence = "The drawing was cancelled on the drawing machine."
