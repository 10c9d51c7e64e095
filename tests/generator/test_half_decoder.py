"""Decoding with smaller sums equals fp32 bit for bit, and works in fp16 where a plain decoder overflows."""

from types import SimpleNamespace

import pytest
import torch
from diffusers import AutoencoderKL

from generator.engine.captured_graphs import CapturedGraphs
from generator.engine.diffusion import _decoded
from generator.engine.half_decoder import HalfDecoder, shrink


def small_vae(*, sums: float = 1.0) -> AutoencoderKL:
    """``sums`` scales the sums from block to block without changing the pixels."""
    torch.manual_seed(0)
    vae = AutoencoderKL(
        block_out_channels=(32, 32, 64),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        norm_num_groups=16,
    ).eval()
    with torch.no_grad():
        for name, parameter in vae.decoder.named_parameters():
            sums_up = name.startswith("conv_in") or ".conv2." in name or ".to_out." in name
            if sums_up or name.endswith(("upsamplers.0.conv.bias", "conv_shortcut.bias")):
                parameter.mul_(sums)
    return vae.requires_grad_(False)


@pytest.fixture
def latents() -> torch.Tensor:
    return torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))


@torch.inference_mode()
def test_smaller_sums_change_no_bit_in_fp32(latents):
    vae = small_vae()
    expected = vae.decode(latents, return_dict=False)[0]
    shrink(vae.decoder)
    assert torch.equal(vae.decode(latents, return_dict=False)[0], expected)


@torch.inference_mode()
def test_smaller_sums_prevent_an_overflow_in_fp16(latents):
    vae = small_vae(sums=40_000.0)
    expected = vae.decode(latents, return_dict=False)[0]
    assert not small_vae(sums=40_000.0).half().decode(latents.half(), return_dict=False)[0].isfinite().all()

    decoded = HalfDecoder(vae).decode(latents)

    assert decoded.dtype is torch.float32
    assert (decoded - expected).norm() < 0.01 * expected.norm()
    assert torch.equal(vae.decode(latents, return_dict=False)[0], expected), "the VAE itself does not change"


@torch.inference_mode()
def test_after_an_overflow_despite_smaller_sums_fp32_decodes_from_then_on(latents, caplog):
    vae = small_vae(sums=1e7)
    model = SimpleNamespace(vae=vae, name="loud", graphs=None)
    cached = SimpleNamespace(model=model, half_decoder=HalfDecoder(vae))

    decoded, dtype = _decoded(cached, latents)

    assert torch.equal(decoded, vae.decode(latents / vae.config.scaling_factor, return_dict=False)[0])
    assert (dtype, cached.half_decoder) == (torch.float32, None)
    assert "loud decodes in fp32 from now on" in caplog.text


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("GET was unable to find an engine to execute this computation"),
    ],
)
@torch.inference_mode()
def test_a_decode_that_runs_out_of_memory_is_repeated_in_tiles(latents, caplog, error):
    vae = small_vae()
    vae.tile_latent_min_size, vae.tile_sample_min_size = 4, 16
    whole = vae.decode(latents / vae.config.scaling_factor, return_dict=False)[0]
    asked = []

    def no_room(_, inputs) -> None:
        asked.append(inputs[0].shape[-1])
        if inputs[0].shape[-1] == latents.shape[-1]:
            raise error

    hook = vae.decoder.register_forward_pre_hook(no_room)
    model = SimpleNamespace(vae=vae, graphs=CapturedGraphs())
    decoded, dtype = _decoded(SimpleNamespace(model=model, half_decoder=None), latents)
    hook.remove()

    assert vae.use_tiling and dtype is torch.float32
    assert asked[0] == 8 and max(asked[1:]) == 4
    assert decoded.shape == whole.shape
    assert "in tiles" in caplog.text
