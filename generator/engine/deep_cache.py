"""DeepCache: the output of the UNet's inner layers changes little from step to step, so later steps reuse it.

Source: Ma et al., DeepCache: Accelerating Diffusion Models for Free, arXiv 2312.00858, with its outermost branch. The
features belong to one drawing and its own steps, so that drawings at different steps can share a call.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import UNet2DConditionModel


@dataclass(frozen=True)
class UNetInput:
    """The rows of a call: latents (n, channels, height, width), timesteps (n), embeddings (n, tokens, width).

    ``added`` is what the family SDXL adds to the time embedding. ``kept`` are the features of the last whole step, for
    a call of the outermost layers.
    """

    latents: torch.Tensor
    timesteps: torch.Tensor
    embeds: torch.Tensor
    added: dict[str, torch.Tensor]
    kept: torch.Tensor | None = None

    @property
    def tensors(self) -> list[torch.Tensor]:
        kept = [] if self.kept is None else [self.kept]
        return [self.latents, self.timesteps, self.embeds, *self.added.values(), *kept]

    def each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "UNetInput":
        return UNetInput(
            latents=change(self.latents),
            timesteps=change(self.timesteps),
            embeds=change(self.embeds),
            added={name: change(tensor) for name, tensor in self.added.items()},
            kept=None if self.kept is None else change(self.kept),
        )


# The prediction, and the features to keep for the steps after a whole one.
UNetOutput = tuple[torch.Tensor, torch.Tensor | None]


def whole(unet: UNet2DConditionModel, rows: UNetInput, *, keep: bool) -> UNetOutput:
    """Run the whole UNet; with ``keep`` also return the features of its inner layers, which enter its last layer."""
    kept: list[torch.Tensor] = []

    def note(_: Any, args: tuple[torch.Tensor, ...]) -> None:
        # The last layer's input is the output of the layer before it, then the channels of the first convolution.
        kept.append(args[0][:, : -unet.config.block_out_channels[0]])

    hook = unet.up_blocks[-1].resnets[-1].register_forward_pre_hook(note) if keep else None
    try:
        predicted: torch.Tensor = unet(
            rows.latents,
            rows.timesteps,
            encoder_hidden_states=rows.embeds,
            added_cond_kwargs=rows.added,
            return_dict=False,
        )[0]
    finally:
        if hook is not None:
            hook.remove()
    return predicted, kept[0] if kept else None


def outermost(unet: UNet2DConditionModel, rows: UNetInput) -> UNetOutput:
    """Predict with the UNet's first convolution and last layer alone, and the features kept from a whole step."""
    assert rows.kept is not None
    time = unet.time_embedding(unet.get_time_embed(sample=rows.latents, timestep=rows.timesteps))
    added = unet.get_aug_embed(emb=time, encoder_hidden_states=rows.embeds, added_cond_kwargs=rows.added)
    time = time if added is None else time + added
    last = unet.up_blocks[-1]
    hidden = last.resnets[-1](torch.cat([rows.kept, unet.conv_in(rows.latents)], dim=1), time)
    # The SD family attends to the text here, too.
    if hasattr(last, "attentions"):
        hidden = last.attentions[-1](hidden, encoder_hidden_states=rows.embeds, return_dict=False)[0]
    predicted: torch.Tensor = unet.conv_out(unet.conv_act(unet.conv_norm_out(hidden)))
    return predicted, None
