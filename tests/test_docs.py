"""The documents and the code say the same."""

import re
from pathlib import Path

import pytest
import yaml

from bot.easel.commands.help import EASEL_COMMANDS
from bot.easel.language import FLAGS
from bot.easel.policy.room_profiles import RoomProfile
from bot.easel.room.history import MAX_CAUGHT_UP
from bot.easel.settings import Settings
from generator import __version__
from generator.models.cards import SAMPLERS, built_in_cards

ROOT = Path(__file__).parents[1]
USING, INSTALL, SETTINGS = (
    (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("using.md", "install.md", "settings.md")
)


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_every_flag_is_in_the_documents_with_its_help_and_synonyms(flag):
    synonyms = ", ".join(f"`--{synonym}`" for synonym in flag.synonyms)
    assert f"| `{flag.usage}` | {flag.help} | {synonyms} |" in USING


@pytest.mark.parametrize(("command", "does"), EASEL_COMMANDS.items())
def test_every_command_is_in_the_documents_with_its_help(command, does):
    assert f"| `!easel {command}` | {does} |" in USING


def test_every_setting_of_the_bot_is_in_the_documents_and_in_base_config():
    settings = set(Settings.__dataclass_fields__)
    assert set(yaml.safe_load((ROOT / "base-config.yaml").read_text())) == settings
    keys = set(RoomProfile.__dataclass_fields__)
    assert set(re.findall(r"^\| `([a-z_]+)` \|", SETTINGS, flags=re.MULTILINE)) == settings | keys


def test_the_example_of_a_room_is_the_same_in_the_documents_and_in_base_config():
    def example(text: str) -> object:
        return yaml.safe_load(re.search(r"^rooms:\n(?: .+\n)+", text, flags=re.MULTILINE)[0])

    shipped = (ROOT / "base-config.yaml").read_text(encoding="utf-8")
    assert example(SETTINGS) == example(re.sub("^# ", "", shipped, flags=re.MULTILINE))


def test_the_version_is_the_same_everywhere():
    project = (ROOT / "pyproject.toml").read_text()
    plugin = yaml.safe_load((ROOT / "maubot.yaml").read_text())
    assert plugin["version"] == __version__
    assert f'version = "{__version__}"' in project
    assert f"-v{__version__}.mbp" in INSTALL
    assert f"## {__version__}\n" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("document", [ROOT / "README.md", *ROOT.glob("docs/*.md")], ids=lambda path: path.name)
def test_every_file_that_a_document_links_is_there(document):
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize(("name", "card"), built_in_cards().items())
def test_every_model_is_in_the_documents_as_its_card_has_it(name, card):
    width, height = card.sizes["square"]
    guidance = f"{card.defaults.guidance_scale:g}" if card.limits.max_guidance_scale else "none"
    facts = f"{card.family.upper()} | {width}×{height} | {card.defaults.steps} | {guidance} | {card.licence}"
    assert f"| {name} | {facts} |" in SETTINGS


def test_every_sampler_is_in_the_documents():
    section = SETTINGS.partition("## Models and samplers")[2].partition("\n## ")[0]
    assert [sampler for sampler in SAMPLERS if f"`{sampler}`" not in section] == []


def test_the_promise_says_how_much_is_caught_up():
    assert f"newest {MAX_CAUGHT_UP:,}\n  events" in (ROOT / "docs/promises.md").read_text(encoding="utf-8")
