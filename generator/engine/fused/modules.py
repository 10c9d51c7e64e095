"""Put the kernels into a UNet or a VAE of diffusers, in place, and take them out again.

Only the modules' classes change, so weights, their names and additions (a LoRA) stay. Layers are looked up anew at each
call, and a layer that is not diffusers' or torch's own is called unchanged. Convolutions gain by this only with
channels_last weights; diffusers' own transformer would leave that layout at its end, and its attention divides by 1.
"""

from collections.abc import Iterator
from typing import Any

import torch
from diffusers.models.activations import GEGLU
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from generator.engine.fused.group_norm import beside, group_norm
from generator.engine.fused.pointwise import add, geglu, layer_norm


class _Norm(nn.GroupNorm):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return group_norm(x, self)


class _NormSilu(nn.GroupNorm):
    """The last norm of a UNet, an encoder or a decoder, fused with the activation behind it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return group_norm(x, self, silu=True)


class _Activated(nn.SiLU):
    """An activation that does nothing, since ``_NormSilu`` has applied it already."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class _Resnet(ResnetBlock2D):
    """A residual block whose convolutions leave their bias to the next pass, and which never divides by 1."""

    def forward(self, input_tensor: torch.Tensor, temb: torch.Tensor | None, *_: Any, **__: Any) -> torch.Tensor:
        hidden, added = _convolved(self.conv1, group_norm(input_tensor, self.norm1, silu=True))
        if self.time_emb_proj is not None:
            time = self.time_emb_proj(temb if self.skip_time_act else self.nonlinearity(temb))
            added = time if added is None else time + added
        hidden, bias = _convolved(self.conv2, group_norm(hidden, self.norm2, silu=True, added=added))
        if self.conv_shortcut is not None:
            input_tensor = self.conv_shortcut(input_tensor)
        total = input_tensor + hidden if bias is None else add(beside(hidden), beside(input_tensor), bias)
        return total if self.output_scale_factor == 1 else total / self.output_scale_factor


def _convolved(layer: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Convolve without the bias, and return the bias; None if the layer applied it, not being a plain convolution."""
    if type(layer) is not nn.Conv2d or layer.padding_mode != "zeros":
        return layer(x), None
    return torch.conv2d(x, layer.weight, None, layer.stride, layer.padding, layer.dilation, layer.groups), layer.bias


class _Transformer(Transformer2DModel):
    """A transformer that ends without a copy to NCHW: its last layer's output is NHWC already."""

    def _get_output_for_continuous_inputs(
        self,
        hidden_states: torch.Tensor,
        residual: torch.Tensor,
        batch_size: int,
        height: int,
        width: int,
        inner_dim: int,
    ) -> torch.Tensor:
        if self.use_linear_projection:
            hidden_states = self.proj_out(hidden_states)
            inner_dim = hidden_states.shape[-1]
        hidden_states = hidden_states.reshape(batch_size, height, width, inner_dim).permute(0, 3, 1, 2)
        if not self.use_linear_projection:
            hidden_states = self.proj_out(hidden_states)
        return hidden_states + residual


class _Block(BasicTransformerBlock):
    """A transformer block that computes each residual sum in one pass with the norm behind it."""

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        encoder_hidden_states: torch.Tensor | None = None,
        encoder_attention_mask: torch.Tensor | None = None,
        **_: Any,
    ) -> torch.Tensor:
        hidden, normed = layer_norm(hidden_states, self.norm1)
        hidden, normed = layer_norm(_attended(self.attn1, normed, normed), self.norm2, residual=hidden)
        source = normed if encoder_hidden_states is None else encoder_hidden_states
        hidden, normed = layer_norm(_attended(self.attn2, normed, source), self.norm3, residual=hidden)
        out: torch.Tensor = self.ff(normed) + hidden
        return out


class _Gated(GEGLU):
    def forward(self, hidden_states: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        return geglu(self.proj(hidden_states))


def _attended(attn: Attention, hidden: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """Compute a transformer block's attention, without the other features of diffusers' processor."""
    query, key, value = (
        projected.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
        for projected in (attn.to_q(hidden), attn.to_k(source), attn.to_v(source))
    )
    attended = scaled_dot_product_attention(query, key, value)
    out: torch.Tensor = attn.to_out[0](attended.transpose(1, 2).flatten(2))
    return out


def _places(model: nn.Module) -> Iterator[tuple[Any, type[nn.Module], type[nn.Module]]]:
    """Yield each module that can be fused, with its own class and ours."""
    for part in model.modules():
        match part:
            case ResnetBlock2D() if _is_plain_resnet(part):
                yield part, ResnetBlock2D, _Resnet
            case Transformer2DModel() if part.is_input_continuous:
                yield part, Transformer2DModel, _Transformer
                yield part.norm, nn.GroupNorm, _Norm
            case BasicTransformerBlock() if _is_plain_block(part):
                yield part, BasicTransformerBlock, _Block
            case GEGLU():
                yield part, GEGLU, _Gated
            case Attention() if isinstance(part.group_norm, nn.GroupNorm):
                yield part.group_norm, nn.GroupNorm, _Norm
        if isinstance(getattr(part, "conv_norm_out", None), nn.GroupNorm) and isinstance(part.conv_act, nn.SiLU):
            yield part.conv_norm_out, nn.GroupNorm, _NormSilu
            yield part.conv_act, nn.SiLU, _Activated


def _is_plain_resnet(block: ResnetBlock2D) -> bool:
    """Whether ``_Resnet`` computes the same. A decoder's blocks are of kind "group", and embed no time."""
    adds_time = block.time_embedding_norm == "default" or block.time_emb_proj is None
    has_dropout = block.dropout.p > 0 and block.training
    silu = isinstance(block.nonlinearity, nn.SiLU)
    return adds_time and block.upsample is None and block.downsample is None and silu and not has_dropout


def _is_plain_block(block: BasicTransformerBlock) -> bool:
    norms = (block.norm1, block.norm2, block.norm3)
    return (
        block.norm_type == "layer_norm"
        and block.attn2 is not None
        and block.pos_embed is None
        and not block.only_cross_attention
        and block._chunk_size is None
        and all(type(norm) is nn.LayerNorm and norm.elementwise_affine and norm.bias is not None for norm in norms)
        and all(_is_plain_attention(attention) for attention in (block.attn1, block.attn2))
    )


def _is_plain_attention(attention: Attention) -> bool:
    extras = (attention.group_norm, attention.spatial_norm, attention.norm_cross, attention.norm_q, attention.norm_k)
    plain = not any(extra for extra in extras if extra is not None)
    return plain and not attention.residual_connection and attention.rescale_output_factor == 1


def fuse(model: nn.Module) -> None:
    """Make a UNet or a VAE of diffusers use the kernels. It must not be in training."""
    for part, own, ours in list(_places(model)):
        if type(part) is own:
            part.__class__ = ours
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def unfuse(model: nn.Module) -> None:
    """Undo ``fuse``."""
    for part, own, ours in list(_places(model)):
        if type(part) is ours:
            part.__class__ = own
    # A convolution of 1 x 1 has both layouts at once, and `to` would not change its strides.
    for parameter in model.parameters():
        plain = torch.empty_like(parameter, memory_format=torch.contiguous_format)
        parameter.data = plain.copy_(parameter)


def is_fused(model: nn.Module) -> bool:
    return any(type(part) is ours for part, _, ours in _places(model))
