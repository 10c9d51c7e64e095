"""The learning rate over a training. Knows no networks."""

WARM_UP = 0.02
DECAY = 0.3


def learning_rate_factor(done: float) -> float:
    """Return the factor of the learning rate: it rises during WARM_UP, stays at 1, and falls linearly to 0 over DECAY.

    ``done`` is the share of the training that is done, 0 to 1. The flat middle allows a longer training later.
    Source: Haegele et al., Scaling laws and compute-optimal training beyond fixed training durations, arXiv 2405.18392.
    """
    return min(1.0, (done + 1e-4) / WARM_UP, max(0.0, (1 - done) / DECAY))
