"""The five models draw through the API and on the command line, each with its own card and a miniature."""

import functools
from pathlib import Path

import pytest
import yaml
from PIL import Image

from generator.__main__ import main
from generator.engine.diffusion import make_engine
from generator.models.registry import capabilities
from generator.settings import Settings
from tests.helpers.miniatures import NAMES


async def test_all_models_draw_through_the_api(start_generator, miniatures):
    settings = Settings(device="cpu", default_model="sd-1.5", models=miniatures)
    generator = await start_generator(
        functools.partial(make_engine, settings),
        capabilities=functools.partial(capabilities, settings),
        load_timeout_s=120,
    )
    for name in NAMES:
        asked = {"model": name, "sampler": "dpmpp_2m_sde", "steps": 2}
        assert (await generator.submit(name.replace(".", "-"), **asked)).status == 201
        ended = await generator.end(name.replace(".", "-"))
        assert ended["state"] == "done", ended
        drawn = ended["pictures"][0]["recipe"]
        assert {key: drawn[key] for key in asked} == asked
        assert (drawn["width"], drawn["guidance_scale"]) == (64, settings.models[name].defaults.guidance_scale)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"negative_prompt": "ugly"}, "sdxl-turbo draws without guidance, so it can't leave things out."),
        ({"guidance_scale": 7}, "sdxl-turbo draws without guidance: leave out --cfg."),
    ],
)
async def test_turbo_refuses_what_it_does_not_support_before_loading(start_generator, miniatures, asked, sentence):
    settings = Settings(device="cpu", models=miniatures)
    generator = await start_generator(capabilities=functools.partial(capabilities, settings))
    refused = await generator.submit("job", model="sdxl-turbo", **asked)
    assert (refused.status, refused.json["error"]["message"]) == (422, sentence)


@pytest.mark.parametrize("name", NAMES)
def test_all_models_draw_on_the_command_line_and_again_from_their_recipe(miniatures, tmp_path, name, capsys):
    settings = tmp_path / "generator.yml"
    settings.write_text(yaml.safe_dump({"models": miniatures, "device": "cpu", "pictures": str(tmp_path / "pictures")}))

    def draw(*asked: str) -> tuple[Path, Path]:
        assert main(["--settings", str(settings), "draw", *asked]) == 0
        output = capsys.readouterr()
        assert f"Drawn by {name}." in output.err and "may differ" not in output.err
        picture, recipe = map(Path, output.out.split())
        return picture, recipe

    first, recipe = draw("otter", "--model", name, "--steps", "2", "--sampler", "euler_a")
    again, _ = draw("--recipe", str(recipe))
    assert Image.open(first).tobytes() == Image.open(again).tobytes()
