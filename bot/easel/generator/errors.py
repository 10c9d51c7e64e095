"""Why the generator gave no picture: one family, one sentence each.

Shown in the room that a picture was asked for, to everybody who waits there, and by ``!easel status``. ``__cause__`` is
for the log, and so are paths and settings, which nobody in a room can mend.
"""


class GeneratorError(Exception):
    """Base: no picture, for a reason that fits in a sentence."""

    sentence = "The drawing computer had a problem."

    def __init__(self, sentence: str | None = None) -> None:
        super().__init__(sentence or self.sentence)


class NotYet(GeneratorError):
    """No picture yet. The job waits, and is drawn when the reason in the sentence is gone."""

    # Ends the sentence "I'll draw when …".
    until = "that's mended"
    # Mostly over within seconds: not worth a notice at once.
    passes = False


class GeneratorAway(NotYet):
    """Nobody answers; a later try may work."""

    sentence = "The drawing computer doesn't answer."
    until = "it's back"


class NotRunning(GeneratorAway):
    sentence = "The drawing computer is off or asleep."


class SocketMissing(NotRunning):
    """The log names its path."""

    sentence = "Drawing isn't running on the drawing computer."


class SocketForbidden(NotYet):
    """The log names its path: maubot's user must be in the socket's group."""

    sentence = "I'm not allowed to reach the drawing computer. My log says what to change."


class CertificateRefused(NotYet):
    """generator_ca_file must name the certificate that signed the generator's."""

    sentence = "I don't trust the drawing computer's certificate. My log says what to change."


class TokenRefused(NotYet):
    """generator_token must be what the generator's token_file holds."""

    sentence = "The drawing computer doesn't know me: my token is wrong. My log says what to change."


class OtherVersion(NotYet):
    def __init__(self, *, ours: str, theirs: str, upgrade: str) -> None:
        super().__init__(f"The drawing computer has Easel {theirs} and I have {ours}. Please upgrade {upgrade}.")


class QueueFull(NotYet):
    """The queue has no room. The sentence is the generator's; ``retry_after_s`` is when there may be room."""

    until = "there's room"
    passes = True

    def __init__(self, sentence: str, retry_after_s: int | None) -> None:
        super().__init__(sentence)
        self.retry_after_s = retry_after_s


class NotNow(NotYet):
    """The generator runs but takes no jobs: it starts or stops."""

    until = "it's ready"
    passes = True


class Interrupted(GeneratorAway):
    """The generator went away in the middle of a job, or forgot it."""

    sentence = "The drawing computer went away in the middle of a picture."
    passes = True


class NotUnderstood(GeneratorError):
    """Probably generator_url is another program's."""

    sentence = "I don't understand the drawing computer's answer. My log says more."


class TooMuch(GeneratorError):
    sentence = "The drawing computer sent more than a picture can be, so I stopped reading."


class Refused(GeneratorError):
    """The generator refused the request. Its own sentence names value, limit and choices; ``code`` is the kind."""

    def __init__(self, sentence: str | None = None, code: str = "") -> None:
        super().__init__(sentence)
        self.code = code


class Failed(GeneratorError):
    """The job gave no picture. The sentence is the generator's."""


class Cancelled(GeneratorError):
    sentence = "Somebody cancelled it on the drawing computer."
