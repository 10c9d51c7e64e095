"""The kernels in Triton's interpreter, against torch in fp64, and in whole models of diffusers.

How fast they are, and that they compile, only a card can say.
"""

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from torch.nn.functional import gelu, silu

from generator.engine.fused import group_norm as norms
from generator.engine.fused.group_norm import group_norm
from generator.engine.fused.modules import fuse, is_fused, unfuse
from generator.engine.fused.pointwise import add, geglu, layer_norm

DTYPES = [torch.float32, torch.float16]
# Relative to the exact result's norm; torch's own passes deviate by about as much.
APART = {torch.float32: 3e-6, torch.float16: 5e-4}


@pytest.fixture(autouse=True)
def few_programs(monkeypatch):
    """The interpreter runs the programs one after the other."""
    monkeypatch.setattr(norms, "PROGRAMS", 4)
    torch.manual_seed(0)
    norms.cut.cache_clear()
    yield
    norms.cut.cache_clear()


def apart(found: torch.Tensor, exact: torch.Tensor) -> float:
    assert found.isfinite().all()
    return float((found.double() - exact).norm() / exact.norm())


def noise(*shape: int, dtype: torch.dtype, mean: float = 0.0) -> torch.Tensor:
    """Values around a different mean in each channel, like activations."""
    random = torch.Generator().manual_seed(sum(shape))
    centre = mean * torch.randn(1, shape[1], *[1] * (len(shape) - 2), generator=random)
    return (torch.randn(shape, generator=random) + centre).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("groups", "channels", "height", "width", "activated", "added"),
    [
        # As many channels in a group as in the models, where there are 32 groups.
        (8, 80, 5, 7, True, None),
        (8, 160, 3, 3, True, "each row"),
        (8, 240, 2, 5, False, "all rows"),
        (8, 640, 2, 1, True, None),
        (32, 32, 8, 8, False, None),
        (32, 64, 1, 1, True, "each row"),
        # More chunks than one program reads at once.
        (32, 64, 60, 50, True, "all rows"),
    ],
)
def test_group_norm_equals_torch(dtype, groups, channels, height, width, activated, added):
    norm = nn.GroupNorm(groups, channels)
    nn.init.normal_(norm.weight, 1.0, 0.3)
    nn.init.normal_(norm.bias)
    norm.to(dtype).requires_grad_(False)
    x = noise(2, channels, height, width, dtype=dtype, mean=3).to(memory_format=torch.channels_last)
    more = {"each row": (2, channels), "all rows": (channels,), None: None}[added]
    more = None if more is None else noise(1, *more, dtype=dtype)[0]

    found = group_norm(x, norm, silu=activated, added=more)

    summed = x if more is None else x + more[..., None, None]
    exact = nn.functional.group_norm(summed.double(), groups, norm.weight.double(), norm.bias.double(), norm.eps)
    assert apart(found, silu(exact) if activated else exact) < APART[dtype]
    assert found.dtype is dtype and found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(found, group_norm(x.contiguous(), norm, silu=activated, added=more))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [32, 640, 1280])
def test_layer_norm_equals_torch_and_the_sum_is_rounded_as_in_torch(dtype, width):
    norm = nn.LayerNorm(width)
    nn.init.normal_(norm.weight, 1.0, 0.3)
    nn.init.normal_(norm.bias)
    norm.to(dtype).requires_grad_(False)
    x, residual = noise(2, 5, width, dtype=dtype, mean=3), noise(1, 10, width, dtype=dtype).view(2, 5, width)

    for given in (residual, None):
        total, found = layer_norm(x, norm, residual=given)
        summed = x if given is None else x + given
        exact = nn.functional.layer_norm(summed.double(), (width,), norm.weight.double(), norm.bias.double(), norm.eps)
        assert torch.equal(total, summed)
        assert apart(found, exact) < APART[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_gated_unit_and_the_sum_equal_torch(dtype):
    both = noise(2, 3, 2 * 1500, dtype=dtype)
    value, gate = both.double().chunk(2, dim=-1)
    assert apart(geglu(both), value * gelu(gate)) < APART[dtype]

    x, residual = (
        noise(2, 48, *sides, dtype=dtype).to(memory_format=torch.channels_last) for sides in ((7, 5), (7, 5))
    )
    bias = noise(1, 48, dtype=dtype)[0]
    exact = x.double() + residual.double() + bias.double()[None, :, None, None]
    assert apart(add(x, residual, bias), exact) < APART[dtype]


BLOCKS = {
    "block_out_channels": (32, 64),
    "layers_per_block": 1,
    "norm_num_groups": 16,
    "cross_attention_dim": 32,
}
UNETS = {
    "sdxl": {
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "attention_head_dim": (2, 4),
        "use_linear_projection": True,
    },
    "sd": {
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "attention_head_dim": 4,
    },
}


@pytest.mark.parametrize("family", UNETS)
@torch.inference_mode()
def test_a_unet_computes_the_same_with_the_kernels_and_again_without(family):
    torch.manual_seed(0)
    unet = UNet2DConditionModel(**BLOCKS, **UNETS[family]).eval().requires_grad_(False)
    x, text = noise(2, 4, 4, 4, dtype=torch.float32), noise(2, 5, 32, dtype=torch.float32)
    names = {name: value.shape for name, value in unet.state_dict().items()}

    def call() -> torch.Tensor:
        return unet(x, torch.tensor([5.0, 900.0]), text, return_dict=False)[0]

    plain = call()
    fuse(unet)
    assert is_fused(unet)
    assert not any(type(part) in (nn.GroupNorm, nn.SiLU) for name, part in unet.named_modules() if "conv_norm" in name)
    assert apart(call(), plain.double()) < 1e-5
    assert {name: value.shape for name, value in unet.state_dict().items()} == names

    unfuse(unet)
    assert not is_fused(unet)
    assert apart(call(), plain.double()) < 1e-6
    assert all(value.is_contiguous() for value in unet.parameters())


@torch.inference_mode()
def test_a_vae_decodes_and_encodes_the_same_with_the_kernels():
    torch.manual_seed(0)
    kinds = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    vae = AutoencoderKL(block_out_channels=(32, 64), norm_num_groups=16, **kinds).eval().requires_grad_(False)
    latents, pixels = noise(1, 4, 8, 8, dtype=torch.float32), noise(1, 3, 8, 8, dtype=torch.float32)

    def calls() -> tuple[torch.Tensor, torch.Tensor]:
        return vae.decode(latents, return_dict=False)[0], vae.encode(pixels, return_dict=False)[0].mean

    plain = calls()
    fuse(vae)
    norms_left = [name for name, part in vae.named_modules() if type(part) is nn.GroupNorm]
    assert all(name.endswith(("norm1", "norm2")) for name in norms_left), "a residual block calls its own two norms"
    for found, expected in zip(calls(), plain, strict=True):
        assert apart(found, expected.double()) < 1e-5


@torch.inference_mode()
def test_a_layer_wrapped_around_torchs_own_is_still_called():
    """The kernels must not skip a LoRA beside a convolution."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(**BLOCKS, **UNETS["sdxl"]).eval().requires_grad_(False)
    resnet = unet.down_blocks[0].resnets[0]
    x, time = noise(2, 32, 4, 4, dtype=torch.float32), noise(2, 128, dtype=torch.float32)

    class Louder(nn.Module):
        def __init__(self, layer: nn.Module) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * self.layer(x)

    resnet.conv1, resnet.conv2 = Louder(resnet.conv1), Louder(resnet.conv2)
    plain = resnet(x, time)
    fuse(unet)
    assert apart(resnet(x, time), plain.double()) < 1e-5
