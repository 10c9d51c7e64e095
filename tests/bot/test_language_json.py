"""JSON that other programs write is read as a request."""

import json

import pytest

from bot.easel.language import ParseError, parse_all, parse_draw
from tests.bot.test_language_pasted import request

INVOKEAI = {
    "generation_mode": "txt2img",
    "positive_prompt": "otter, (hat)+",
    "negative_prompt": "blurry",
    "width": 512,
    "height": 768,
    "seed": 12,
    "rand_device": "cpu",
    "cfg_scale": 7.5,
    "steps": 20,
    "scheduler": "dpmpp_2m_k",
    "clip_skip": 2,
    "model": {"key": "abc", "hash": "blake3:1", "name": "dreamy", "base": "sd-1", "type": "main"},
    "app_version": "5.0.0",
    "loras": [],
}
FOOOCUS = {
    "Prompt": "otter",
    "Negative Prompt": "blurry",
    "Styles": "['Fooocus V2']",
    "Performance": "Speed",
    "Resolution": "(1152, 896)",
    "Guidance Scale": 4,
    "Base Model": "juggernaut.safetensors",
    "Sampler": "dpmpp_2m_sde_gpu",
    "Scheduler": "karras",
    "Seed": "123",
    "Version": "Fooocus v2.5",
}
NOVELAI = {
    "prompt": "{{otter}}, [hat]",
    "uc": "lowres",
    "steps": 28,
    "scale": 5.0,
    "uncond_scale": 0.0,
    "sampler": "k_euler_ancestral",
    "seed": 123,
    "width": 832,
    "height": 1216,
    "v4_prompt": {"caption": {"base_caption": "otter", "char_captions": [{"centers": [{"x": 0.5}]}]}},
}
A1111_API = {
    "prompt": "((otter))",
    "negative_prompt": "",
    "sampler_name": "Euler a",
    "cfg_scale": 7,
    "seed": -1,
    "steps": 20,
    "denoising_strength": None,
    "restore_faces": False,
}

JSON = [
    (
        INVOKEAI,
        request(
            "otter, (hat)+",
            negative_prompt="blurry",
            size=(512, 768),
            seed=12,
            guidance_scale=7.5,
            steps=20,
            sampler="dpmpp_2m",
            model="dreamy",
            unused=("Schedule Karras", "clip_skip 2"),
        ),
    ),
    (
        FOOOCUS,
        request(
            negative_prompt="blurry",
            size=(1152, 896),
            guidance_scale=4.0,
            model="juggernaut",
            sampler="dpmpp_2m_sde",
            seed=123,
            unused=("Styles ['Fooocus V2']", "Performance Speed", "scheduler karras"),
        ),
    ),
    (
        NOVELAI,
        request(
            "((otter)1.05)1.05, (hat)-",
            negative_prompt="lowres",
            steps=28,
            guidance_scale=5.0,
            sampler="euler_a",
            seed=123,
            size=(832, 1216),
            unused=("char_captions",),
        ),
    ),
    (A1111_API, request("((otter)+)+", negative_prompt="", sampler="euler_a", guidance_scale=7.0, steps=20)),
    (
        {"sui_image_params": {"prompt": "otter", "cfgscale": 7, "steps": 20, "aspectratio": "1:1"}},
        request(guidance_scale=7.0, steps=20, aspect_ratio=(1, 1)),
    ),
    (
        {"model": "sd", "image": {"prompt": [{"prompt": "otter", "weight": 1}], "steps": 9, "cfg_scale": 7}},
        request(model="sd", steps=9, guidance_scale=7.0),
    ),
]


@pytest.mark.parametrize(("given", "expected"), JSON)
def test_json_of_other_programs_is_read(given, expected):
    (read,) = parse_all(json.dumps(given, indent=1)).requests
    assert read == expected


@pytest.mark.parametrize("given", [given for given, _ in JSON])
def test_json_is_read_alike_as_python_prints_it_and_in_a_fence(given):
    text = json.dumps(given)
    for spelled in (str(given), f"```json\n{text}\n```", f"here:\n```\n{text}```"):
        read = parse_draw(spelled)
        assert read.slots == parse_draw(text).slots and set(parse_draw(text).unused) <= set(read.unused)


def test_a_file_with_json_is_a_recipe():
    assert parse_draw("+hat", recipe=json.dumps(A1111_API)).slots.subject == ("((otter)+)+", "hat")


def comfyui(**positive) -> dict:
    """A graph as ComfyUI's API has it, with more nodes on the way to the prompt."""
    sampler = {"seed": 12, "steps": 20, "cfg": 7.5, "sampler_name": "euler", "scheduler": "karras", "denoise": 1}
    return {
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "dreamy.safetensors"}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 768, "batch_size": 1}},
        "9": {"class_type": "StringConstant", "inputs": {"string": "otter, (hat:1.2)"}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": ["9", 0], "clip": ["4", 1], **positive}},
        "8": {"class_type": "ConditioningCombine", "inputs": {"conditioning_1": ["6", 0]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["4", 1]}},
        "3": {
            "class_type": "KSampler",
            "inputs": {**sampler, "model": ["4", 0], "positive": ["8", 0], "negative": ["7", 0]},
        },
    }


@pytest.mark.parametrize("value", [comfyui(), {"prompt": comfyui(), "client_id": "x"}], ids=["graph", "queued"])
def test_a_graph_of_comfyui_is_followed_to_its_prompts(value):
    read = parse_draw(json.dumps(value))
    meant = parse_draw(
        "otter, (hat)1.2 --negative blurry --seed 12 --steps 20 --cfg 7.5 --sampler euler --size 512x768"
    )
    assert (read.slots, read.unused) == (meant.slots, ("scheduler karras",))
    assert (read.negative_prompt, read.seed, read.steps, read.size) == (meant.negative_prompt, 12, 20, (512, 768))
    assert (read.guidance_scale, read.sampler, read.model, read.strength) == (7.5, "euler", "dreamy", None)


@pytest.mark.parametrize("text", [["8", 0], ["no", 0], []], ids=str)
def test_a_graph_without_an_end_has_no_prompt(text):
    with pytest.raises(ParseError, match="There's no prompt in that JSON"):
        parse_draw(json.dumps(comfyui(text=text)))
