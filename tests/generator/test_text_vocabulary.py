"""With CLIP's true vocabulary, whatever people type is encoded, alike by both of SDXL's encoders."""

import random
from dataclasses import replace
from functools import partial

import pytest
import torch
from diffusers import StableDiffusionXLPipeline
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from generator.engine.model import load_model
from generator.engine.plan import make_plan
from generator.engine.text import TextEncoding, _token_ids
from generator.engine.text_chunks import CHUNK_TOKENS, are_read_alike, chunks
from generator.models.weights import Located
from generator.recipes import prompt
from tests.helpers.clip_vocabulary import clip_tokenizer
from tests.helpers.stand_in import stand_in_card
from tests.helpers.stand_in_weights import text_config

WORDS = """
otter owl cowboy hat headphones sunset busy city street normcore cozy watercolor backlit high quality 8k it's 猫 帽子 🎨
naïve art-deco semi-realistic wow! great!! a.b 16:9 don't, é
"""

LONG = (
    "otter, " * 36 + "hooray!!!!!!",
    ", ".join(f"otter {n} wow!!!" for n in range(14)),
    "!" * 200,
    "(otter)++, " * 24 + "(hooray!!!)++, sunset, watercolor",
    "otter, (hat!!)--, " * 4 + "wow!!! " * 30,
    "(!!!)-- " + "wow!!! " * 60,
)


@pytest.fixture(scope="module")
def text(stand_in_folder) -> TextEncoding:
    plan = make_plan("cpu", "auto")
    model = load_model("stand-in", stand_in_card(stand_in_folder), Located(stand_in_folder, "1"), plan)
    first, second = clip_tokenizer("<|endoftext|>"), clip_tokenizer("!")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoders = {
            "text_encoder": CLIPTextModel(text_config(first)).eval(),
            "text_encoder_2": CLIPTextModelWithProjection(text_config(second)).eval(),
        }
    return TextEncoding(replace(model, tokenizer=first, tokenizer_2=second, **encoders))


@pytest.fixture(scope="module")
def tokenizers(text):
    return [partial(_token_ids, tokenizer) for tokenizer in (text._model.tokenizer, text._model.tokenizer_2)]


def test_the_vocabulary_is_clips(tokenizers):
    """As published for openai/clip-vit-large-patch14."""
    assert tokenizers[0]("a photo of a cat") == [320, 1125, 539, 320, 2368]
    assert [len(tokenize("wow!!!")) for tokenize in tokenizers] == [2, 4]


@pytest.mark.parametrize("typed", ["otter, cowboy hat", "wow!!! otter", "!", "it's 16:9, 50% naïve 猫 🎨", "OTTER!!"])
def test_a_short_prompt_is_encoded_as_by_the_pipeline(text, stand_in_folder, typed):
    pipeline = StableDiffusionXLPipeline.from_pretrained(stand_in_folder, use_safetensors=True, add_watermarker=False)
    for part in ("tokenizer", "tokenizer_2", "text_encoder", "text_encoder_2"):
        setattr(pipeline, part, getattr(text._model, part))
    with torch.inference_mode():
        embeds, _, pooled, _ = pipeline.encode_prompt(typed, device="cpu", num_images_per_prompt=1)
    ours = text.encode(typed, "x")
    torch.testing.assert_close(ours.embeds[1:], embeds, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.pooled[1:], pooled, atol=1e-5, rtol=0)


@pytest.mark.parametrize("typed", LONG)
def test_exclamation_marks_near_the_end_of_a_chunk_are_encoded(text, typed):
    conditioning = text.encode(typed, "")
    assert torch.isfinite(conditioning.embeds).all()
    assert conditioning.embeds.shape[1] <= 8 * 77


def test_random_prompts_are_encoded(text):
    for typed in random_prompts(25):
        assert torch.isfinite(text.encode(typed, "").embeds).all()


def test_both_encoders_get_the_same_words_in_each_chunk(tokenizers):
    for typed in (*LONG, *random_prompts(100)):
        fragments = prompt.parse(typed)
        cut = chunks(fragments, tokenizers)
        assert "".join(text for chunk in cut for text, _ in chunk).split() == "".join(t for t, _ in fragments).split()
        for chunk in cut:
            assert all(sum(len(tokenize(part)) for part, _ in chunk) <= CHUNK_TOKENS for tokenize in tokenizers)


def test_a_chunk_ends_after_a_sentence_else_a_phrase_else_a_word(tokenizers):
    def ends(typed: str) -> list[str]:
        return ["".join(part for part, _ in chunk).split()[-1] for chunk in chunks([(typed, 1.0)], tokenizers)]

    assert ends("An otter in a hat. " + "wow! " * 60) == ["hat.", "wow!", "wow!"]
    assert ends("otter, a hat, " + "wow! " * 36)[0] == "hat,"
    assert ends("wow! " * 40) == ["wow!", "wow!"]


def test_words_beyond_the_limit_of_either_tokenizer_are_left_out_and_said(text):
    limit = text._model.card.limits.max_tokens
    assert text.encode("wow!!! " * (limit // 4 + 1), "").left_out == ("wow!!!",)


def test_a_text_that_both_read_alike_is_cut_as_compel_cuts_it(tokenizers):
    assert are_read_alike([("otter, hat, " * 50, 1.0)], tokenizers)
    assert are_read_alike([("wow!!!", 1.0)], tokenizers)
    assert not are_read_alike([("otter, " * 36 + "hooray!!!!!!", 1.0)], tokenizers)


def random_prompts(count: int) -> list[str]:
    dice = random.Random(1)
    weighted = ("{}",) * 6 + ("({})++", "({})--", "({})1.3", "({})+")
    return [
        ", ".join(
            dice.choice(weighted).format(" ".join(dice.choices(WORDS.split(), k=dice.randrange(1, 4))))
            for _ in range(dice.randrange(1, 30))
        )
        for _ in range(count)
    ]
