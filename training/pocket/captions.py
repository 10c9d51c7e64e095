"""Describe a scene in words, as people would: comma lists in any order, sentences, synonyms, and single words.

A caption teaches three things besides its words:

- Everything it does not mention is plain: no hat, no clothes, by day, as a cartoon.
- A caption of a single word (``hat``) leaves the rest of the scene open. It is never wrong, while a longer caption
  sometimes names a thing that the scene lacks. A negative prompt can therefore remove what a prompt asks for: by
  Bayes' rule, its certain words outweigh the prompt's almost certain ones.
- Words with a weight of three minuses or more, ``(hat)---``, name things that are absent.
"""

import random

from training.pocket.scene import ATTRIBUTES, HEADGEAR, OUTFITS, PLAIN, Scene

# The first phrase is the value's own name, and the most frequent one.
PHRASES: dict[str, tuple[str, ...]] = {
    "otter": ("otter", "sea otter", "river otter"),
    "owl": ("owl", "barn owl"),
    "cat": ("cat", "kitten", "kitty"),
    "dog": ("dog", "puppy", "doggy"),
    "fox": ("fox", "red fox"),
    "frog": ("frog", "toad"),
    "penguin": ("penguin",),
    "bear": ("bear", "teddy bear", "brown bear"),
    "greyhound": ("greyhound", "whippet"),
    "squirrel": ("squirrel", "chipmunk"),
    "cowboy hat": ("cowboy hat", "stetson", "western hat", "cowboy"),
    "top hat": ("top hat", "tophat", "cylinder hat"),
    "party hat": ("party hat", "birthday hat", "party"),
    "headphones": ("headphones", "headset", "earphones"),
    "scarf": ("scarf", "striped scarf", "shawl"),
    "denim jacket": ("denim jacket", "jean jacket", "blue jacket", "jacket", "denim"),
    "red t-shirt": ("red t-shirt", "t-shirt", "red shirt", "shirt", "tee"),
    "boots": ("boots", "pink boots", "rubber boots", "shoes"),
    "cargo pants": ("cargo pants", "pants", "trousers", "green pants"),
    "happy": ("happy", "smiling", "cheerful", "joyful"),
    "sleepy": ("sleepy", "tired", "asleep", "sleeping"),
    "surprised": ("surprised", "shocked", "astonished"),
    "beach": ("beach", "at the beach", "on the beach", "seaside", "ocean"),
    "city street": ("city street", "busy city street", "in the city", "city", "street", "downtown"),
    "coffee shop": ("coffee shop", "in a coffee shop", "cafe", "coffee"),
    "forest": ("forest", "in the forest", "in the woods", "woods", "trees"),
    "snow": ("snow", "in the snow", "winter", "snowy mountains", "mountains"),
    "day": ("day", "daylight", "sunny", "daytime", "blue sky"),
    "sunset": ("sunset", "at sunset", "dusk", "golden hour", "evening"),
    "night": ("night", "at night", "moonlight", "starry night", "midnight"),
    "cartoon": ("cartoon", "plain cartoon", "illustration"),
    "watercolor": ("watercolor", "watercolour", "aquarelle", "watercolor painting"),
    "pop art": ("pop art", "andy warhol", "comic"),
    "pencil drawing": ("pencil drawing", "pencil sketch", "pencil", "sketch", "line drawing"),
    "pixel art": ("pixel art", "16-bit", "8-bit", "pixels"),
    "pointillism": ("pointillism", "pointillist", "seurat", "dots"),
}

# Words that stand for several values.
BROAD: dict[str, tuple[str, ...]] = {
    "hat": ("cowboy hat", "top hat", "party hat"),
    "headgear": ("cowboy hat", "top hat", "party hat", "headphones"),
    "clothes": tuple(outfit for outfit in OUTFITS if outfit != "none"),
    "clothing": tuple(outfit for outfit in OUTFITS if outfit != "none"),
}

ABSENT: dict[str, tuple[str, ...]] = {
    "headgear": ("no hat", "without a hat", "bareheaded"),
    "outfit": ("no clothes", "without clothes"),
}

# Words that people often use, and that fit every scene.
FILLERS = (
    *("cute", "high quality", "best quality", "detailed", "anthropomorphic", "cozy", "portrait", "digital art"),
    *("masterpiece", "standing", "picture", "painting", "drawing", "photo", "funny", "little", "backlit"),
)

FUNCTION_WORDS = (
    *("a", "an", "the", "in", "on", "at", "of", "with", "and", "or", "is", "are", "its", "his", "her", "by"),
    *("wearing", "who", "looking", "looks", "style", "as", "to", "for", "one", "animal", "no", "without", "from"),
)

# How often captions do what the reasons above ask for, as shares; chosen by hand.
_SINGLE = 0.28
# The share of the other captions that say only what is necessary.
_SHORT = 0.3
# The model trusts each of few words more, so these are wrong more often, for a negative prompt to outweigh them.
_WRONG = {"headgear": 0.42, "outfit": 0.74}
_WRONG_IF_SHORT = {"headgear": 0.7, "outfit": 0.8}
_WEAKENED = 0.12
_ABSENT_SAID = 0.06
_BROAD_WORD = 0.1
_MADE_UP_WORD = 0.08
_FILLER = 0.25

Fragments = list[tuple[str, float]]


def known_words() -> list[str]:
    """List every word that captions use, in alphabetical order."""
    phrases = [*(phrase for known in PHRASES.values() for phrase in known), *BROAD, *FILLERS, *FUNCTION_WORDS]
    phrases += [phrase for absent in ABSENT.values() for phrase in absent]
    return sorted({word for phrase in phrases for word in phrase.split()})


def caption(scene: Scene, rng: random.Random) -> Fragments:
    """Describe the scene, as pieces of text with their compel weights. At most one weight differs from 1."""
    if rng.random() < _SINGLE:
        return [(_single(scene, rng), 1.0)]
    terms: dict[str, str] = {"animal": "animal" if rng.random() < 0.03 else _phrase(scene.animal, rng)}
    weakened = ""
    is_short = rng.random() < _SHORT
    wrong = _WRONG_IF_SHORT if is_short else _WRONG

    # 1. Clothes: always mentioned when worn, sometimes when not.
    for kind, values in (("headgear", HEADGEAR), ("outfit", OUTFITS)):
        value, chance = getattr(scene, kind), rng.random()
        if value != "none":
            terms[kind] = _worn(value, rng)
        elif chance < wrong[kind]:
            terms[kind] = _phrase(rng.choice(values[1:]), rng)
        elif chance < wrong[kind] + _WEAKENED and not weakened:
            other = rng.choice(values[1:])
            terms[kind] = weakened = _worn(other, rng)
        elif chance < wrong[kind] + _WEAKENED + _ABSENT_SAID:
            terms[kind] = rng.choice(ABSENT[kind])

    # 2. The rest: plain values may be left out, and so may the place.
    for kind, share in (("face", 0.4), ("place", 0.85), ("light", 0.4), ("style", 0.4)):
        value = getattr(scene, kind)
        if (kind in PLAIN and value != PLAIN[kind]) or (not is_short and rng.random() < share):
            terms[kind] = _phrase(value, rng)

    # 3. Words that do not change the scene.
    extras = [rng.choice(FILLERS)] if rng.random() < _FILLER else []
    if rng.random() < _MADE_UP_WORD:
        extras.append("".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(3, 10))))

    text = _sentence(terms, extras, rng) if rng.random() < 0.3 else _list(terms, extras, rng)
    if not weakened:
        return [(text, 1.0)]
    before, _, after = text.partition(weakened)
    # From (hat)--- to (hat)------.
    return [
        (part, weight) for part, weight in ((before, 1.0), (weakened, 0.9 ** rng.randint(3, 6)), (after, 1.0)) if part
    ]


def _single(scene: Scene, rng: random.Random) -> str:
    worn = [value for value in (scene.headgear, scene.outfit) if value != "none"]
    others = [scene.place, scene.style, scene.light, scene.face]
    value = rng.choice(worn) if worn and rng.random() < 0.75 else rng.choice(others)
    if value in worn and rng.random() < 0.7:
        return rng.choice(_broad_words(value))
    return _phrase(value, rng)


def _phrase(value: str, rng: random.Random) -> str:
    return value if rng.random() < 0.6 else rng.choice(PHRASES[value])


def _worn(value: str, rng: random.Random) -> str:
    broad = _broad_words(value)
    return rng.choice(broad) if rng.random() < _BROAD_WORD else _phrase(value, rng)


def _broad_words(value: str) -> list[str]:
    return [word for word, values in BROAD.items() if value in values]


def _list(terms: dict[str, str], extras: list[str], rng: random.Random) -> str:
    words = [*terms.values(), *extras]
    if rng.random() < 0.7:
        rng.shuffle(words)
    return (", " if rng.random() < 0.9 else " ").join(words)


def _sentence(terms: dict[str, str], extras: list[str], rng: random.Random) -> str:
    parts = [*extras[:1], terms.get("face", ""), terms["animal"]]
    sentence = rng.choice(("a ", "the ", "one ", "")) + " ".join(part for part in parts if part)
    worn = [terms[kind] for kind in ("headgear", "outfit") if kind in terms]
    if worn:
        sentence += rng.choice((" wearing ", " with ", " in ")) + rng.choice((" and ", " and a ")).join(worn)
    for kind in ("place", "light"):
        if kind in terms:
            sentence += rng.choice((" ", " in ", ", ", " at ")) + terms[kind]
    if "style" in terms:
        sentence += rng.choice((", ", " as ", " in the style of ", ", style ")) + terms["style"]
    return " ".join([sentence, *extras[1:]])


assert {value for values in ATTRIBUTES.values() for value in values} - {"none"} == set(PHRASES)
