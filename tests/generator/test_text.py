"""Embeddings equal the pipeline's own ``encode_prompt``, in fp32."""

import gc
import math
import weakref
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline

from generator.api import limits
from generator.engine.model import load_model
from generator.engine.plan import make_plan
from generator.engine.text import TextEncoding
from generator.models.weights import Located
from tests.helpers.miniatures import miniature_card


@pytest.fixture(scope="module", params=["ssd-1b", "sd-1.5", "sd-2.1"])
def miniature(request, miniature_folders) -> tuple[str, Path]:
    """SDXL's two encoders, or SD's one encoder, which pads with the end-of-text token or with ``!``."""
    return request.param, miniature_folders[request.param]


@pytest.fixture(scope="module")
def pipeline(miniature):
    name, folder = miniature
    if name == "ssd-1b":
        return StableDiffusionXLPipeline.from_pretrained(folder, use_safetensors=True, add_watermarker=False)
    return StableDiffusionPipeline.from_pretrained(folder, use_safetensors=True, safety_checker=None)


@pytest.fixture(scope="module")
def text(miniature):
    name, folder = miniature
    return TextEncoding(load_model(name, miniature_card(name, folder), Located(folder, "1"), make_plan("cpu", "auto")))


def test_an_unused_encoding_is_freed_at_once(text):
    """It holds a model's gigabytes."""
    encoding = TextEncoding(text._model)
    encoding.encode("otter", "")
    gone = weakref.ref(encoding)
    gc.disable()
    try:
        del encoding
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("prompt", "negative"),
    [
        ("otter, cowboy hat", "ugly, poor quality"),
        ("otter,cowboy hat", "x"),
        ('an "otter" at 16:9, 50% [grey]', "semi-realistic"),
        ("héllo 猫 🎨", "!"),
        ("OTTER   with\ttabs", "a.b"),
        ("- + = a-b", "----"),
        ("otter", ""),
    ],
)
def test_an_unweighted_prompt_is_encoded_as_by_the_pipeline(text, pipeline, prompt, negative):
    embeds, negative_embeds, *pooled = pipeline.encode_prompt(
        prompt,
        device="cpu",
        num_images_per_prompt=1,
        negative_prompt=negative or None,
        do_classifier_free_guidance=True,
    )
    ours = text.encode(prompt, negative)
    torch.testing.assert_close(ours.embeds, torch.cat([negative_embeds, embeds]), atol=1e-5, rtol=0)
    expected = torch.cat(pooled[::-1]) if pooled else torch.empty(2, 0)
    torch.testing.assert_close(ours.pooled, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("weighted", ["()--", "(  )--, otter", "!!! (!)--", "((a)-, (b)--)+ c- d+", "<|endoftext|>--"])
def test_odd_weights_encode(text, weighted):
    """compel fails on a low-weight text without tokens, and on its own pad token among the words."""
    assert torch.isfinite(text.encode(weighted, weighted).embeds).all()


@pytest.mark.parametrize("weighted", ["otter, (cowboy hat)++", "otter, (cowboy hat)--", "otter, (cowboy hat)0.3"])
def test_weights_change_the_embeddings_and_not_the_pooled_ones(text, weighted):
    plain, ours = text.encode("otter, cowboy hat", ""), text.encode(weighted, "")
    assert not torch.allclose(plain.embeds[1], ours.embeds[1], atol=1e-3)
    torch.testing.assert_close(plain.pooled, ours.pooled)


def test_prompts_of_different_lengths_are_padded_with_the_empty_text(text):
    long, short = "otter, " * 20, "ugly"
    conditioning = text.encode(long, short)
    assert conditioning.embeds.shape[:2] == (2, 2 * 77)
    torch.testing.assert_close(conditioning.embeds[0, :77], text.encode(short, short).embeds[0])
    torch.testing.assert_close(conditioning.embeds[0, 77:], text.encode("()", "").embeds[1])


@pytest.mark.parametrize(
    ("prompt", "left_out"),
    [
        ("a" * 300, ()),
        ("a" * 297 + ", hat, boots", ("hat, boots",)),
        ("a" * 297 + ", (hat)++, (boots)--, scarf", ("hat, boots, scarf",)),
        ("(" + "a" * 295 + ", hat boots)++", ("hat boots",)),
        ("a" * 293 + " straw hat with feathers", ("hat with feathers",)),
        ("a" * 310, ("a" * 10,)),
        ("猫" * 200, ("猫" * 100,)),
    ],
)
def test_terms_beyond_the_token_limit_are_omitted_and_noted(text, prompt, left_out):
    conditioning = text.encode(prompt, "")
    assert conditioning.left_out == left_out
    assert conditioning.embeds.shape[1] <= 5 * 77


def test_the_negative_prompt_is_bounded_too(text):
    assert text.encode("otter", "a" * 299 + ", hat").left_out == ("hat",)


@pytest.mark.parametrize(("prompt", "passes"), [("otter, red scarf", 1), ("bear, (red scarf)+", 1), ("owl, (fog)-", 2)])
def test_each_encoder_reads_the_same_tokens_once(text, prompt, passes):
    """Embeddings and pooled embedding come from one pass. A low-weight part takes one more pass, without that part."""
    assert passes_of(text, prompt) == passes


def test_a_prompt_that_weakens_as_much_as_it_may_takes_a_bounded_number_of_passes(text):
    """Each chunk of 75 tokens takes a pass for the prompt, and one for each weakened part."""
    prompt = " ".join(["(hat)- a cat that sits"] * limits.MAX_WEAKENED) + " otter" * 200
    chunks = math.ceil(text._model.card.limits.max_tokens / 75)
    assert passes_of(text, prompt) <= (1 + limits.MAX_WEAKENED) * chunks + 1


def passes_of(text: TextEncoding, prompt: str) -> int:
    read = []
    provider = text._encoders[-1].conditioning_provider
    # Weights also need the embeddings of the empty text, once per model.
    assert provider.empty_z is not None
    hook = provider.text_encoder.register_forward_hook(lambda *_: read.append(1))
    try:
        text._encode_row(prompt)
    finally:
        hook.remove()
    return len(read)
