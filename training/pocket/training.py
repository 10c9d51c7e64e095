"""The common part of every training: a step against a loss, the average of the weights, the checkpoint."""

from pathlib import Path

import torch
from diffusers.training_utils import EMAModel
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from training.pocket import checkpoint
from training.pocket.schedule import learning_rate_factor

SAVE_EVERY = 500


class Training:
    """A training of networks over ``steps`` steps. The optimizer's learning rate is the highest of the schedule."""

    def __init__(
        self, networks: nn.Module, optimizer: torch.optim.Optimizer, average: EMAModel, file: Path, *, steps: int
    ) -> None:
        self._networks = networks
        self._optimizer = optimizer
        self._average = average
        self._file = file
        self._steps = steps
        # The number of steps done.
        self.step = 0
        self._schedule = self._make_schedule()

    def resume(self) -> None:
        """Resume from the checkpoint, if there is one; it may be of a shorter training."""
        if state := checkpoint.load(self._file):
            self._networks.load_state_dict(state["trained"])
            self._optimizer.load_state_dict(state["optimizer"])
            self._average.load_state_dict(state["average"])
            self._average.to(next(self._networks.parameters()).device)
            self.step = state["step"]
            self._schedule = self._make_schedule()
            # torch's own generator on the CPU resumes, too; older checkpoints lack its state.
            if "random" in state:
                torch.set_rng_state(state["random"])

    def learn(self, loss: torch.Tensor) -> None:
        """Take one step against the loss, and save a checkpoint now and then."""
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self._networks.parameters(), 1.0, foreach=True)
        self._optimizer.step()
        self._schedule.step()
        self._average.step(self._networks.parameters())
        self.step += 1
        if self.step % SAVE_EVERY == 0 or self.step == self._steps:
            self.save()

    def save(self) -> None:
        state = {
            "trained": self._networks.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "average": self._average.state_dict(),
            "step": self.step,
            "random": torch.get_rng_state(),
        }
        checkpoint.save(state, self._file)

    def _make_schedule(self) -> LambdaLR:
        """Make the schedule of learning rates from the present step on."""
        for group in self._optimizer.param_groups:
            group["initial_lr"] = self._optimizer.defaults["lr"]
        return LambdaLR(
            self._optimizer, lambda step: learning_rate_factor(step / self._steps), last_epoch=self.step - 1
        )

    def finish(self) -> None:
        """Replace the networks' weights by their average."""
        self._average.copy_to(self._networks.parameters())
        self._networks.eval()
