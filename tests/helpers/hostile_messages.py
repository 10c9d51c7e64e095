"""Messages that are made to take long: each family grows with its size. For the tests of readers and a benchmark."""

from collections.abc import Callable
from dataclasses import dataclass

SHEET = "--steps 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20 --cfg 2,3,4,5,6"

# The longest recipe that is read.
RECIPE_BYTES = 15_500


@dataclass(frozen=True)
class Hostile:
    """A message, and the recipe file that it replies to."""

    body: str
    recipe: str | None = None


def _filled(start: str, piece: str, end: str = "") -> Callable[[int], str]:
    """As many pieces as come to that many bytes with start and end."""

    def text(size: int) -> str:
        return start + piece * max(0, (size - len((start + end).encode())) // len(piece.encode())) + end

    return text


def _nested(start: str, opening: str, closing: str) -> Callable[[int], str]:
    def text(size: int) -> str:
        depth = max(0, (size - len(start.encode())) // len((opening + closing).encode()))
        return start + opening * depth + closing * depth

    return text


def _numbered(start: str, piece: str, end: str = "") -> Callable[[int], str]:
    """Pieces that differ in their number."""

    def text(size: int) -> str:
        number = max(0, (size - len(start) - len(end)) // len(piece.format(99999)))
        return start + "".join(piece.format(n) for n in range(10_000, 10_000 + number)) + end

    return text


_TEXTS: dict[str, Callable[[int], str]] = {
    "braces without a bar": _nested("!draw otter ", "{", "}"),
    "open braces": _filled("!draw otter ", "{"),
    "brackets": _nested("!draw otter ", "(a", ")+"),
    "square brackets": _nested("!draw a | otter ", "[a", "]"),
    "lists within lists": _nested("!draw ", "{a|", "}"),
    "many lists": _filled("!draw ", "{a|b}"),
    "lists in the choices of a list": _filled("!draw {", "{||||||||||}{||||||||}|", "}"),
    "a bar in all braces": _filled("!draw {", "{{|", "}"),
    "a long text on a sheet": _filled("!draw ", "a, ", SHEET),
    "slots": _filled("!draw a", "|a"),
    "flags": _filled("!draw otter", " --fast a"),
    "hyphens": _filled("!draw otter", " -a"),
    "spaces behind a flag": _filled("!draw otter --steps", " ", "x"),
    "digits": _filled("!draw otter --cfg ", "1", "x"),
    "spaces behind a fence": _filled("!draw ```", " ", "x"),
    "quotes": _filled("!draw otter", ' "\\"'),
    "terms": _filled("!draw ", "a, "),
    "names": _filled("!draw ", "@watercolor "),
    "names on a sheet": _filled("!draw ", "@watercolor ", SHEET),
    "LoRAs": _numbered("!draw otter", "<lora:{}:1>"),
    "wildcards": _filled("!draw otter ", "__animal__ "),
    "half a wildcard": _filled("!draw otter __", "a_"),
    "marks": _filled("!draw otter g", "\u0301\u0316"),
    "wide characters": _filled("!draw ", "\ufdfa"),
    "invisible characters": _filled("!draw ", "g\u200b"),
    "JSON": _filled('!draw {"prompt": {"subject": ["a"', ',"a"', "]}}"),
    "deep JSON": _filled("!draw ", '{"prompt":'),
    "YAML": _filled("!draw\n```yaml\nslots:\n  subject:\n", "  - a\n", "```"),
    "YAML in one line": _filled("!draw\n```yaml\nslots: {subject: [", "a,", "]}\n```"),
    "deep YAML": _filled("!draw prompt: ", "["),
    "facts": _numbered("!draw\n```yaml\nprompt: a\nfacts:\n  plan:\n", "    k{}: x\n", "```"),
    "A1111": _filled("!draw otter\nNegative prompt: ", "(", "\nSteps: 20, Seed: 1"),
    "A1111's settings": _filled("!draw otter\nSteps: 20", ", a: 1"),
    "samplers": _filled("!draw otter\nSteps: 20", ", Sampler: a"),
    "sizes": _filled("!draw otter\nSteps: 20", ", Size: 1x1"),
    "quoted settings": _numbered("!draw otter\nSteps: 20", ', a{}: "b, \\""'),
    "settings on lines": _filled("!draw otter\nSteps: 20", "\nSeed: 1"),
    "labels": _filled("!draw otter", ", negative prompt: a"),
    "prompts": _filled("!draw", "\nprompt: a"),
    "keys of a recipe": _filled("!draw this:\nprompt: a\nseed: 1", " theme: a steps: 1"),
    "a recipe without layout": _filled("!draw prompt: a\nslots:\nsubject:\n", "- a\n", "seed: 1\nfacts: [x"),
    "JSON of others": _numbered('!draw {"cfg_scale": 7', ', "k{}": 1', "}"),
    "lists in JSON of others": _numbered('!draw {"cfg_scale": 7, "prompt": "a"', ', "k{}": [1]', "}"),
    "nodes of ComfyUI": _numbered(
        '!draw {"1": {"class_type": "a", "inputs": {"positive": ["10000", 0], "negative": ["10001", 0]}}',
        ', "{}": {{"class_type": "a", "inputs": {{"text": ["1", 0], "prompt": ["10001", 0]}}}}',
        "}",
    ),
    "settings in settings": _filled('!draw {"prompt": "a", "cfg_scale": ', '7, "parameters": {"a": '),
    "weighed JSON": _filled('!draw {"text_prompts": [{"text": "a"}', ', {"text": "a", "weight": -1}', "]}"),
    "JSON of Python": _filled("!draw {'prompt': 'a'", ", 'a': None", "}"),
    "open JSON": _filled("!draw ", '{"a": "'),
    "rows of a table": _filled("!draw | Prompt | a |\n|---|---|", "\n| a | b |"),
    "rules of tables": _filled("!draw a", "\n|---"),
    "hyphens of a table": _filled("!draw a\n|", "- ", "x"),
    "fences": _filled("!draw otter ", "```\n"),
    "bullets": _filled("!draw", "\n- a"),
    "quote marks": _filled("!draw\n", "> "),
    "emphasis": _filled("!draw ", "**a* _"),
    "Midjourney's weights": _filled("!draw a", "::1 a"),
    "NovelAI's weights": _filled("!draw {{a}}, ", "1.5::a ::, "),
    "tags": _filled("!draw a", " <b>a</b> _a_ <br>"),
    "slots on lines of their own": _filled("!draw a", "\nstyle\nstyle - a"),
    "weights without brackets": _filled("!draw a", ", a:1.3"),
    "keys below a prompt": _filled("!draw prompt: a", "\na: b", "\nseed: 1"),
    "a list of a slot": _filled("!draw subject:", "\n- a", "\nseed: 1"),
    "weights below 0": _filled("!draw a", "| a:-1"),
    "lines to leave out": _filled("!draw a\nnegative prompt:", "\n- a"),
    "names of models": _filled("!draw a", ", model a b c d"),
    "sizes at the end": _filled("!draw a", " at 512 x 512 a"),
    "AI Horde's sign": _filled("!draw a", " ### a"),
    "half of NovelAI's weights": _filled("!draw {{a}}, ", "1::a::"),
    "NovelAI's braces": _nested("!draw otter ", "{{a", "}}"),
    "words in capitals": _filled("!draw a", " BREAK AND"),
    "unknown flags": _numbered("!draw otter", " --x{} a"),
    "Midjourney's flags": _filled("!draw otter", " --v 6"),
    "dashes apart": _filled("!draw otter", " -- seed"),
    "settings without colons": _filled("!draw otter", ", seed 1"),
    "spaces before a sender": _filled("!draw otter --v 6", " - @", "x"),
    "entities": _filled("!draw ", "&amp; "),
    "wide signs": _filled("!draw ", "，｜："),
    "mentions": _filled("!draw ", '"a" (https://matrix.to/#/@a:b) '),
    "half a mention": _filled("!draw ", '"a" (https://matrix.to/#/@'),
    "a negative prompt above": _filled("!draw negative prompt: a", "\na", "\nSteps: 20"),
    "talk around a prompt": _filled("!draw Here's your prompt:\n", "a\n\nlet me know ", "b"),
    "slots behind commas": _filled("!draw a", ", style: b"),
    "slots behind words": _filled("!draw a", " style: b"),
    "open weights": _filled("!draw a", ", (b:1.2"),
    "what is not to be there": _filled("!draw a", ", no b and no c"),
    "a near miss": _filled("!drwa ", "a "),
    "a style": _filled("!easel style add cosy = ", "(a, "),
    "a sheet of styles": _filled("!easel style sheet ", "a, "),
    "a search": _filled("!easel find ", 'by:" '),
    "words": _filled("!easel ", "a "),
    "no command": _filled("", "\u00a0\u200b"),
    "quoted lines": _filled("> <@ada:example.com> a\n", "> a\n", "\n!draw otter"),
}

RECIPES: dict[str, Callable[[int], str]] = {
    "lines": _filled("slots:\n  subject:\n", "  - a\n"),
    "one line": _filled("slots: {subject: [", "a,", "]}"),
    "a long prompt": _filled("prompt: a", ", a"),
    "facts": _numbered("prompt: a\nfacts:\n  plan:\n", "    k{}: x\n"),
    "depth": _filled("prompt: ", "- "),
    "flow": _filled("prompt: ", "["),
    "comments": _filled("prompt: a\n", "#\n"),
    "escapes": _filled('prompt: "', "\\u0301", '"'),
}

_REPLIES: dict[str, Callable[[int], str]] = {
    "added terms": _numbered("!draw", " +x{}"),
    "removed terms": _filled("!draw -a", " -a"),
    "new terms": _numbered("!draw x", ",x{}"),
    "a removed weight": _filled("!draw -(a)", "1", "x"),
    "terms that are left out and there": _numbered("!draw --no a1, ", "a{}, "),
    "left out terms": _numbered("!draw --no a", ",x{}"),
}


def messages(size: int) -> dict[str, Hostile]:
    """A message of each family, of about ``size`` bytes with its recipe file."""
    long_recipe = _numbered("slots:\n  subject:\n", "  - a{}\n")(RECIPE_BYTES)
    return {
        **{name: Hostile(text(size)) for name, text in _TEXTS.items()},
        **{f"{name}, to a long recipe": Hostile(text(size), long_recipe) for name, text in _REPLIES.items()},
        **{f"a recipe file: {name}": Hostile("!draw +hat", text(size)) for name, text in RECIPES.items()},
        "a sheet of a recipe file": Hostile(f"!draw {SHEET}", RECIPES["lines"](size)),
    }
