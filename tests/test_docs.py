"""The documents match the code."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bot.easel.commands.help import EASEL_COMMANDS
from bot.easel.language import FLAGS
from bot.easel.policy.room_profiles import RoomProfile
from bot.easel.room.history import MAX_CAUGHT_UP
from bot.easel.settings import Settings as BotSettings
from generator import __version__
from generator.models.cards import SAMPLERS, built_in_cards
from generator.settings import Settings as GeneratorSettings
from tests.helpers.sentences import sentences

ROOT = Path(__file__).parents[1]
DOCUMENTS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/**/*.md")))
}
MODULES = {
    path.relative_to(ROOT).with_suffix("").as_posix()
    for folder in ("bot/easel", "generator", "training", "household", "deploy", "benchmarks", "tests")
    for path in (ROOT / folder).rglob("*.py")
    if not re.match("__init__|conftest|test_", path.name) and "neighbour" not in path.parts
}


def section(document: str, heading: str) -> str:
    """Return the text below ``heading``, up to the next heading of its level or above."""
    level, _, _ = heading.partition(" ")
    found = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{len(level)}}} |\Z)", DOCUMENTS[document], re.M | re.S)
    assert found, f"{document} has no {heading}"
    return found[1]


def keys(document: str, heading: str) -> set[str]:
    """Return the code spans in the first column of the section's tables."""
    return set(re.findall(r"^\| `([^`]+)` \|", section(document, heading), re.M))


def lines() -> Iterator[tuple[str, str, str]]:
    """Yield document, heading, and a text that must stand below it."""
    for flag in FLAGS:
        synonyms = ", ".join(f"`--{synonym}`" for synonym in flag.synonyms)
        yield "docs/using.md", "## Flags", f"| `{flag.usage}` | {flag.help} | {synonyms} |"
    for command, does in EASEL_COMMANDS.items():
        yield "docs/using.md", "## Commands", f"| `!easel {command}` | {does} |"
    for name, card in built_in_cards().items():
        width, height = card.sizes["square"]
        guidance = f"{card.defaults.guidance_scale:g}" if card.limits.max_guidance_scale else "none"
        facts = f"{card.family.upper()} | {width}×{height} | {card.defaults.steps} | {guidance} | {card.licence}"
        yield "docs/settings.md", "## Models and samplers", f"| {name} | {facts} |"
    for sampler in SAMPLERS:
        yield "docs/settings.md", "## Models and samplers", f"`{sampler}`"
    yield "docs/install.md", "## 4. The plugin", f"household.easel-v{__version__}.mbp"
    yield "docs/promises.md", "## The promise", f"newest {MAX_CAUGHT_UP:,} events"


@pytest.mark.parametrize(("document", "heading", "text"), [*lines()])
def test_the_documents_match_the_code(document: str, heading: str, text: str) -> None:
    assert text in re.sub(r"\n +", " ", section(document, heading))


@pytest.mark.parametrize(
    ("heading", "settings"),
    [
        ("## The bot", BotSettings.__dataclass_fields__),
        ("## Rules for rooms", RoomProfile.__dataclass_fields__),
        ("## The generator", GeneratorSettings.model_fields),
    ],
)
def test_every_setting_is_documented(heading: str, settings: dict[str, object]) -> None:
    assert keys("docs/settings.md", heading) == settings.keys()


def test_base_config_has_every_setting_of_the_bot() -> None:
    assert yaml.safe_load((ROOT / "base-config.yaml").read_text()).keys() == BotSettings.__dataclass_fields__.keys()


def test_the_example_of_a_room_is_the_same_in_the_documents_and_in_base_config() -> None:
    def example(text: str) -> object:
        return yaml.safe_load(re.search(r"^rooms:\n(?: .+\n)+", text, re.M)[0])

    shipped = (ROOT / "base-config.yaml").read_text(encoding="utf-8")
    assert example(DOCUMENTS["docs/settings.md"]) == example(re.sub("^# ", "", shipped, flags=re.M))


def test_the_version_is_the_same_everywhere() -> None:
    assert yaml.safe_load((ROOT / "maubot.yaml").read_text())["version"] == __version__
    assert f'version = "{__version__}"' in (ROOT / "pyproject.toml").read_text()
    assert f"## {__version__}\n" in DOCUMENTS["CHANGELOG.md"]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_has_a_target(document: str) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)]+)\)", DOCUMENTS[document]):
        file, _, anchor = target.partition("#")
        path = (ROOT / document).parent / file if file else ROOT / document
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), target


def anchors(path: Path) -> set[str]:
    """Return the anchor of each heading, as GitHub derives it."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_map_names_every_module_and_no_other() -> None:
    # A bullet is a folder in bold, then its modules. Everything that is not a module name is prose.
    bullets = re.findall(
        r"^- \*\*`([\w/]+)/`\*\*(.*?)(?=^- \*\*|^#|\Z)", section("docs/architecture.md", "## Map"), re.M | re.S
    )
    named = {f"{folder}/{name}" for folder, text in bullets for name in re.findall(r"`(\w+)`", text)}
    assert named == MODULES


def test_every_sentence_that_people_read_stands_below_its_moment() -> None:
    said: dict[str, str] = {}
    for path in (ROOT / "docs" / "sentences").glob("*.md"):
        for moment, lines in re.findall(r"^\*\*(.+)\*\*\n\n((?:- .+\n)+)", path.read_text(encoding="utf-8"), re.M):
            for line in lines.splitlines():
                sentence = re.sub(r"\\([*_])", r"\1", line.removeprefix("- "))
                assert sentence not in said, f"{sentence} stands twice: {said[sentence]}, {moment}"
                said[sentence] = moment
    assert said.keys() == sentences()


def test_the_readme_is_a_front_page() -> None:
    assert DOCUMENTS["README.md"].count("\n") <= 150
