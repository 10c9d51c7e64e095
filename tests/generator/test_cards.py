"""Model cards and settings are checked once. Errors name the file, the key and the rule."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from generator.models import registry
from generator.models.cards import (
    CardSettings,
    DefaultSettings,
    DraftSettings,
    LimitSettings,
    LoraSettings,
    SchedulerSettings,
    built_in_cards,
)
from generator.models.registry import KEPT_S, KeptCapabilities, capabilities, default_model, larger_model
from generator.settings import ClusterSettings, InvalidSettings, Settings, load_settings

FIVE_LINES = """
models:
  my-model:
    family: sdxl
    folder: /models/mine
    sizes: {square: [1024, 1024]}
"""


def test_ssd_1b_has_its_first_users_defaults():
    card = built_in_cards()["ssd-1b"]
    assert (card.repository, card.variant, card.sizes["square"]) == ("segmind/SSD-1B", "fp16", (768, 768))
    assert (card.defaults.steps, card.defaults.guidance_scale, card.defaults.sampler) == (30, 12.0, "unipc")
    assert card.defaults.negative_prompt == (
        "ugly, poor quality, bad anatomy, bad hands, text, error, missing fingers, extra digit, fewer digits, cropped, "
        "worst quality, low quality, jpeg artifacts, signature, watermark, username, artist name"
    )


def test_ssd_1b_drafts_with_its_own_lcm_lora_as_documented():
    draft = built_in_cards()["ssd-1b"].draft
    assert (draft.lora.repository, draft.lora.weight_name) == (
        "latent-consistency/lcm-lora-ssd-1b",
        "pytorch_lora_weights.safetensors",
    )
    assert (draft.steps, draft.guidance_scale, draft.max_guidance_scale, draft.sampler) == (8, 1.0, 2.0, "lcm")
    assert [name for name, card in built_in_cards().items() if card.draft] == ["ssd-1b"]


@pytest.mark.parametrize(
    ("more", "lora", "steps"),
    [
        ("", "latent-consistency/lcm-lora-ssd-1b", 8),
        (", draft: {steps: 4}", "latent-consistency/lcm-lora-ssd-1b", 4),
        (", draft: {lora: {file: /models/mine.safetensors}}", "/models/mine.safetensors", 8),
        (", draft: null", None, 20),
    ],
)
def test_a_card_like_another_drafts_like_it_unless_it_overrides_the_draft(tmp_path, more, lora, steps):
    file = tmp_path / "generator.yml"
    file.write_text(f"models: {{mine: {{like: ssd-1b, folder: /models/mine{more}}}}}")
    card = next(card for card in capabilities(load_settings(file)).models if card.name == "mine")
    assert (card.draft.lora, card.draft.steps) == (lora, steps)


def test_every_size_of_a_card_is_within_its_limits():
    for card in built_in_cards().values():
        for width, height in card.sizes.values():
            assert card.limits.min_side <= min(width, height) <= max(width, height) <= card.limits.max_side
            assert width * height <= card.limits.max_pixels
            assert width % 8 == height % 8 == 0


def test_a_settings_file_adds_a_model_in_five_lines(tmp_path):
    file = tmp_path / "generator.yml"
    file.write_text(FIVE_LINES)
    here = capabilities(load_settings(file))
    added = next(card for card in here.models if card.name == "my-model")
    assert (added.source, added.available, added.defaults.width) == ("/models/mine", False, 1024)


@pytest.mark.parametrize(
    ("text", "source", "licence", "steps", "size"),
    [
        ("{like: sd-1.5, repository: someone/tuned}", "someone/tuned", "unknown", 30, 512),
        ("{like: sd-1.5, folder: /models/mine, licence: mit}", "/models/mine", "mit", 30, 512),
        ("{like: sd-2.1, file: /models/mine.safetensors}", "/models/mine.safetensors", "unknown", 30, 768),
        ("{like: ssd-1b, defaults: {steps: 12}}", "segmind/SSD-1B", "apache-2.0", 12, 768),
    ],
)
def test_a_card_like_another_names_only_the_differences(tmp_path, text, source, licence, steps, size):
    file = tmp_path / "generator.yml"
    file.write_text(f"models: {{mine: {text}}}")
    settings = load_settings(file)
    card = next(card for card in capabilities(settings).models if card.name == "mine")
    assert (card.source, card.licence, card.defaults.steps, card.defaults.width) == (source, licence, steps, size)
    assert card.defaults.negative_prompt.startswith("ugly, poor quality")
    own_source = "repository" in text or "folder" in text
    assert (settings.models["mine"].revision is None, settings.models["mine"].variant is None) == (own_source,) * 2


def test_every_built_in_model_has_its_licence():
    assert {name: card.licence for name, card in built_in_cards().items()} == {
        "ssd-1b": "apache-2.0",
        "sdxl-turbo": "sai-nc-community, for non-commercial use only",
        "proteus-v0.2": "gpl-3.0",
        "sd-1.5": "creativeml-openrail-m",
        "sd-2.1": "openrail++",
        "pocket": "AGPL-3.0-or-later",
    }


def test_without_card_and_weights_the_default_is_the_built_in_model(tmp_path, no_hub_cache):
    file = tmp_path / "generator.yml"
    file.write_text("device: cpu")
    settings = load_settings(file)
    assert default_model(settings) == capabilities(settings).default_model == "pocket"


def test_on_a_machine_with_a_card_pocket_draws_until_the_large_model_is_there(
    no_hub_cache, monkeypatch, stand_in_folder
):
    monkeypatch.setattr(registry, "has_card", lambda settings: settings.device != "cpu")
    assert default_model(Settings()) == "pocket"
    assert larger_model(Settings()) == "ssd-1b"
    assert larger_model(Settings(device="cpu")) is None
    assert larger_model(Settings(default_model="pocket")) is None
    fetched = Settings(models={"ssd-1b": {"like": "ssd-1b", "folder": stand_in_folder}})
    assert default_model(fetched) == "ssd-1b"
    assert larger_model(fetched) is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("max_queud_jobs: 3", "generator.yml: max_queud_jobs is no setting; did you mean max_queued_jobs?"),
        ("foo: 1", "generator.yml: foo is no setting; there is socket, socket_group, tcp_host, "),
        ("5: 5", "generator.yml: 5 is no setting; there is socket, "),
        ("max_queued_jobs: 0", "generator.yml: max_queued_jobs must be a whole number, 1 or more"),
        ("max_queued_jobs: many", "generator.yml: max_queued_jobs must be a whole number, 1 or more"),
        ("max_queued_jobs: true", "generator.yml: max_queued_jobs must be a whole number, 1 or more"),
        ("max_queued_jobs: '3'", "generator.yml: max_queued_jobs must be a whole number, 1 or more"),
        ("step_timeout_s: true", "generator.yml: step_timeout_s must be a number above 0"),
        ("step_timeout_s: .inf", "generator.yml: step_timeout_s must be a number above 0"),
        ("cards: [true]", "generator.yml: cards must be all, or a list of different cards, such as [0, 1]"),
        ("tcp_port: 70000", "tcp_port must be a whole number from 1 to 65535"),
        ("load_timeout_s: soon", "load_timeout_s must be a number above 0"),
        ("previews: maybe", "previews must be true or false"),
        ("socket: 5", "socket must be a path"),
        ("default_model: 5", "default_model must be text"),
        ("socket: $NONE/x", "generator.yml: socket: $NONE/x has a variable that is not set"),
        ("tcp_allowed_hosts: [5]", "tcp_allowed_hosts must be a list of host names, such as [pc.home]"),
        ("device: gpu", "device must be auto, cpu, cuda, or a card such as cuda:1"),
        ("vae_tiling: often", "vae_tiling must be one of auto, always, never"),
        ("cards: some", "generator.yml: cards must be all, or a list of different cards, such as [0, 1]"),
        ("cards: [0, 0]", "generator.yml: cards must be all, or a list of different cards, such as [0, 1]"),
        # The right name is missing, too.
        ("cluster: {listn: 10.77.0.1, token_file: x}", "cluster.listn is no setting; did you mean listen?"),
        ("cluster: {token_file: x}", "cluster.listen is missing; it must be an IPv4 address such as 192.168.1.2"),
        ("cluster: 5", "cluster must be a mapping of listen, port, token_file, store_mb"),
        ("models: {5: {like: pocket}}", "models must be a mapping from names to models, such as mine: {like: ssd-1b}"),
        ("models: {x: {lke: pocket}}", "models.x.lke is no setting; did you mean like?"),
        ("models: {x: {like: pocket, '[key]': 1}}", "models.x.[key] is no setting; there is family, repository, "),
        ("models: {draft: {like: pocket, defaults: {step: 3}}}", "models.draft.defaults.step is no setting; did you "),
        ("models: {x: {like: pocket, built_in: x}}", "models.x.built_in must be pocket"),
        ("models: {x: {like: pocket, limits: {max_side: 9000}}}", "max_side must be a whole number up to 4096"),
        ("models: {x: {like: pocket, limits: {max_guidance_scale: .inf}}}", "scale must be a number, 0 or more"),
        ("models: {x: {like: pocket, sizes: {wide: [64, 64]}}}", "models.x.sizes must be a mapping of square, "),
        ("models: {x: {like: pocket, sizes: {square: [64]}}}", "models.x.sizes must be a mapping of square, "),
        ("tcp_host: 127.0.0.1", "tcp_host needs token_file, on loopback too"),
        ("default_model: nonesuch", "default_model is nonesuch; it can be auto, ssd-1b, sdxl-turbo"),
        ("models: {x: {family: sdxl, sizes: {square: [512, 512]}}}", "exactly one of repository, folder and built_in"),
        ("models: {x: {family: sdxl, folder: /x, sizes: {portrait: [512, 640]}}}", "sizes needs at least square"),
        ("models: {x: {family: sdxl, folder: /x, sizes: {square: [9999, 64]}}}", "square is 9999x64, which is outside"),
        (
            "models: {x: {family: sdxl, folder: /x, sizes: {square: [512, 512]}, defaults: {steps: 101}}}",
            "defaults.steps is 101, limits.max_steps is 100",
        ),
        (
            "models: {x: {like: sd-3}}",
            "generator.yml: models.x: like is sd-3; it can be ssd-1b, sdxl-turbo, proteus-v0.2, sd-1.5, sd-2.1, pocket",
        ),
        ("models: {x: {like: [sd-3]}}", "like is ['sd-3']; it can be ssd-1b"),
        ("models: {x: {like: sd-1.5, file: /x.ckpt}}", "file is x.ckpt; it can be a .safetensors file only"),
        ("models: {x: {like: sd-1.5, scheduler: {timestep_spacing: odd}}}", "timestep_spacing must be one of leading"),
        ("models: {x: {like: sd-1.5, draft: {steps: 4}}}", "draft.lora is missing; it must be a mapping of "),
        (
            "models: {x: {like: ssd-1b, draft: {lora: {repository: a/b, file: /x.safetensors}}}}",
            "a LoRA has exactly one of repository and file",
        ),
        ("models: {x: {like: ssd-1b, draft: {lora: {file: /x.bin}}}}", "file is x.bin; it can be a .safetensors file"),
        (
            "models: {x: {like: ssd-1b, draft: {lora: {repository: a/b, weight_name: ../c.safetensors}}}}",
            "models.x.draft.lora.weight_name must be the name of a .safetensors file",
        ),
        ("models: {x: {like: ssd-1b, draft: {steps: 101}}}", "draft.steps is 101, limits.max_steps is 100"),
        (
            "models: {x: {like: ssd-1b, draft: {guidance_scale: 0.5}}}",
            "draft.guidance_scale is 0.5; the model's own limits are 1 to 30",
        ),
        (
            "models: {x: {like: ssd-1b, draft: {guidance_scale: 3}}}",
            "draft.guidance_scale is 3, draft.max_guidance_scale is 2",
        ),
        (
            "models: {x: {like: sdxl-turbo, defaults: {guidance_scale: 2}}}",
            "defaults.guidance_scale is 2; the model's own limits are 0 to 0",
        ),
        (
            "models: {x: {like: sdxl-turbo, defaults: {negative_prompt: ugly}}}",
            "a model without guidance has no defaults.negative_prompt",
        ),
        (
            "models: {x: {family: sdxl, folder: /x, sizes: {square: [512, 512]}, enlarge: 3}}",
            "limits.max_side enlarged is 4608; it can be 4096",
        ),
        ("models: {x: {family: sdxl, repository: a b/c, sizes: {square: [512, 512]}}}", "repository must be a name"),
        ("tcp_host: ''", "generator.yml: tcp_host must be an address of this machine, such as 127.0.0.1"),
        ("a: \udcff", "generator.yml is not YAML"),
        ("a: [", "generator.yml is not YAML"),
        ("default_model: 2026-13-01", "generator.yml is not YAML: month must be in 1..12"),
        ("max_queued_jobs: 0x_", "generator.yml is not YAML: invalid literal for int() with base 16"),
        ("models: !!map x", "generator.yml is not YAML"),
        ("previews: !!bool x", "generator.yml is not YAML"),
        ('models: {x: {like: sd-1.5, file: "\\ud800"}}', "generator.yml is not YAML"),
        ("default_model: !!timestamp x", "generator.yml is not YAML"),
        ("cards: all\ncards: null", "generator.yml: cards: it is there twice; keep one of them"),
        ("- a", "generator.yml: the settings must be lines such as max_queued_jobs: 20"),
    ],
)
def test_a_bad_settings_file_is_refused_with_key_and_rule(tmp_path, text, sentence):
    file = tmp_path / "generator.yml"
    file.write_text(text, errors="surrogateescape")
    with pytest.raises(InvalidSettings) as invalid:
        load_settings(file)
    assert sentence in str(invalid.value)


@pytest.mark.parametrize(
    ("within", "kind"),
    [
        ("", Settings),
        ("cluster", ClusterSettings),
        ("models.x", CardSettings),
        ("models.x.defaults", DefaultSettings),
        ("models.x.limits", LimitSettings),
        ("models.x.scheduler", SchedulerSettings),
        ("models.x.draft", DraftSettings),
        ("models.x.draft.lora", LoraSettings),
    ],
)
def test_every_setting_has_its_rule_in_words(tmp_path, within, kind):
    file = tmp_path / "generator.yml"
    for name in kind.model_fields:
        written: Any = {"cluster": {"listen": "10.77.0.1", "token_file": "x"}, "models": {"x": {"like": "ssd-1b"}}}
        section = written
        for part in within.split(".") if within else ():
            section = section.setdefault(part, {})
        section[name] = [[]]
        file.write_text(yaml.safe_dump(written))
        with pytest.raises(InvalidSettings) as invalid:
            load_settings(file)
        assert f"{f'{within}.'.lstrip('.')}{name} must be " in str(invalid.value)


def test_capabilities_are_cached_briefly_and_then_show_fetched_models(tmp_path):
    folder, now = tmp_path / "mine", 0.0
    mine = CardSettings.model_validate({"like": "pocket", "folder": str(folder)})
    kept = KeptCapabilities(Settings(models={"mine": mine}), clock=lambda: now)

    def is_available() -> bool:
        return next(card.available for card in kept().models if card.name == "mine")

    assert not is_available()
    folder.symlink_to(files("generator.pocket") / "weights")
    now = KEPT_S - 1
    assert not is_available()
    now = KEPT_S
    assert is_available()


def test_a_tilde_is_the_home_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "g.yml").write_text("pictures: ~/pictures")
    assert load_settings(tmp_path / "g.yml").pictures == tmp_path / "pictures"


def test_a_missing_settings_file_is_refused(tmp_path):
    with pytest.raises(InvalidSettings, match="cannot be read: No such file"):
        load_settings(tmp_path / "none.yml")


def test_the_environment_names_the_settings_file(tmp_path, monkeypatch):
    (tmp_path / "g.yml").write_text("max_queued_jobs: 3")
    monkeypatch.setenv("EASEL_SETTINGS", str(tmp_path / "g.yml"))
    assert load_settings(None).max_queued_jobs == 3


def test_the_settings_file_that_ships_has_every_setting_and_is_valid():
    shipped = Path(__file__).parents[2] / "deploy/generator.yml"
    assert yaml.safe_load(shipped.read_text()).keys() == Settings.model_fields.keys()
    assert load_settings(shipped).max_queued_jobs == Settings().max_queued_jobs
