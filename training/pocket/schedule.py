"""The learning rate over a training, and the average of the weights that is kept."""

WARM_UP = 0.02
DECAY = 0.3


def learning_rate_factor(done: float) -> float:
    """Rises for the first hundredth parts, stays, then falls in a straight line to nothing.

    ``done`` is the share of the training that is done, 0 to 1. The flat middle lets a training be made longer later.
    Source: Haegele et al., Scaling laws and compute-optimal training beyond fixed training durations, arXiv 2405.18392.
    """
    return min(1.0, (done + 1e-4) / WARM_UP, max(0.0, (1 - done) / DECAY))
