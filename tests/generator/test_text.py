"""Embeddings against the pipeline's own ``encode_prompt``, in fp32."""

import pytest
import torch
from diffusers import StableDiffusionXLPipeline
from stand_in import stand_in_card

from generator.drawing.model import load_model
from generator.drawing.plan import make_plan
from generator.drawing.text import TextEncoding
from generator.weights import Located


@pytest.fixture(scope="module")
def pipeline(stand_in_folder):
    return StableDiffusionXLPipeline.from_pretrained(stand_in_folder, use_safetensors=True, add_watermarker=False)


@pytest.fixture(scope="module")
def text(stand_in_folder):
    located = Located(stand_in_folder, "stand-in-1")
    plan = make_plan("cpu", "auto")
    return TextEncoding(load_model("stand-in", stand_in_card(stand_in_folder), located, plan))


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
    embeds, negative_embeds, pooled, negative_pooled = pipeline.encode_prompt(
        prompt, negative_prompt=negative or None, do_classifier_free_guidance=True
    )
    ours = text.encode(prompt, negative)
    torch.testing.assert_close(ours.embeds, torch.cat([negative_embeds, embeds]), atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.pooled, torch.cat([negative_pooled, pooled]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("weighted", ["()--", "(  )--, otter", "!!! (!)--", "((a)-, (b)--)+ c- d+", "<|endoftext|>--"])
def test_odd_weights_encode(text, weighted):
    """compel fails on a weakened text without tokens, and on its own pad token among the words."""
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
def test_what_exceeds_the_tokens_is_left_out_and_told(text, prompt, left_out):
    conditioning = text.encode(prompt, "")
    assert conditioning.left_out == left_out
    assert conditioning.embeds.shape[1] <= 5 * 77


def test_the_negative_prompt_is_bounded_too(text):
    assert text.encode("otter", "a" * 299 + ", hat").left_out == ("hat",)
