"""Permissions and limits, by tables."""

import json

import pytest

from bot.easel.generator.types import Capabilities, read
from bot.easel.policy.permissions import Permissions
from bot.easel.policy.work import Work, work_of
from tests.helpers.fake_generator import capabilities
from tests.helpers.shipped_settings import settings

ADA, KID, EVE = "@ada:example.com", "@kid:example.com", "@eve:elsewhere.org"
KITCHEN, CELLAR = "!kitchen:example.com", "!kDwZq0J5mMgyY8r4kW9Y"

HOUSEHOLD = Permissions(
    lambda: settings(
        allowed_users=["@*:example.com"],
        admins=[ADA],
        allowed_rooms=["!kitchen:*"],
        max_open_jobs=2,
        max_pictures_a_day=10,
        max_megapixel_steps=20,
    )
)
OPEN = Permissions(lambda: settings())


@pytest.mark.parametrize(
    ("permissions", "user", "room_id", "refused"),
    [
        (OPEN, EVE, CELLAR, None),
        (HOUSEHOLD, KID, KITCHEN, None),
        (HOUSEHOLD, EVE, KITCHEN, "You're not on my list yet"),
        (HOUSEHOLD, "@KID:EXAMPLE.COM", KITCHEN, "You're not on my list yet"),
        (HOUSEHOLD, "@kid:example.com.elsewhere.org", KITCHEN, "You're not on my list yet"),
        (HOUSEHOLD, KID, CELLAR, "This room isn't on my list yet"),
        # The list of rooms applies to admins as well.
        (HOUSEHOLD, ADA, CELLAR, "This room isn't on my list yet"),
        (Permissions(lambda: settings(allowed_users=[], admins=["@a?a:*"])), ADA, CELLAR, None),
        (Permissions(lambda: settings(allowed_users=[])), ADA, CELLAR, "You're not on my list yet"),
        (Permissions(lambda: settings(allowed_rooms=[])), ADA, CELLAR, "This room isn't on my list yet"),
    ],
)
def test_allowed_users_may_use_and_invite_the_bot_in_allowed_rooms(permissions, user, room_id, refused):
    sentence = permissions.refusal(user, room_id)
    assert (sentence is None) == (refused is None)
    assert refused is None or sentence.startswith(refused)
    assert permissions.may_join(room_id, invited_by=user) == (refused is None)


@pytest.mark.parametrize(
    ("least", "user", "power_level", "is_admin"),
    [
        (100, ADA, None, True),
        (100, ADA, 0, True),
        (100, KID, None, False),
        (100, KID, 99, False),
        (100, KID, 100, True),
        (50, KID, 50, True),
        (0, KID, 100, False),
        (0, KID, 0, False),
        (0, ADA, 0, True),
    ],
)
def test_admins_are_named_in_the_settings_or_have_the_power_level(least, user, power_level, is_admin):
    permissions = Permissions(lambda: settings(admins=[ADA], admin_power_level=least))
    assert permissions.is_admin(user, power_level=power_level) == is_admin


@pytest.mark.parametrize(
    ("user", "pictures", "open_jobs", "pictures_in_24_h", "refused"),
    [
        (KID, 1, 1, 9, None),
        (KID, 1, 2, 0, "You have 2 waiting already, and that's the limit. Ask again when one is here."),
        (KID, 3, 1, 8, "The limit is 10 a day, and you have 2 left."),
        (KID, 2, 1, 8, None),
        (ADA, 9, 50, 500, None),
    ],
)
def test_a_persons_pictures_and_open_jobs_are_limited(user, pictures, open_jobs, pictures_in_24_h, refused):
    counts = {"pictures": pictures, "open_jobs": open_jobs, "pictures_in_24_h": pictures_in_24_h}
    assert HOUSEHOLD.too_many(user, **counts) == refused
    assert Permissions(lambda: settings(max_open_jobs=0)).too_many(user, **counts) is None


@pytest.mark.parametrize(
    ("recipe", "steps"),
    [
        ({}, 30),
        ({"tier": "fast"}, 30),
        ({"tier": "draft"}, 8),
        ({"tier": "draft", "steps": 20}, 20),
        ({"model": "nonesuch"}, 0),
    ],
)
def test_missing_fields_of_a_recipe_count_with_the_models_defaults(recipe, steps):
    known = read(Capabilities, json.loads(capabilities().model_dump_json()))
    (work,) = work_of({"recipes": [recipe]}, known)
    assert work.steps == steps


SMALL, LARGE = Work(512, 512, 30), Work(1000, 1000, 21)


@pytest.mark.parametrize(
    ("user", "works", "refused"),
    [
        (KID, (SMALL,), None),
        (KID, (Work(1000, 1000, 20),), None),
        # The limit applies to each picture.
        (KID, (SMALL,) * 9, None),
        (
            KID,
            (SMALL, LARGE),
            "1000×1000 takes up to 20 --steps here, not 21. Or ask for a smaller --size.",
        ),
        (
            KID,
            (Work(5000, 5000, 1),),
            "5000×5000 takes too long here. Ask for a smaller --size.",
        ),
        (ADA, (LARGE,), None),
    ],
)
def test_the_work_of_a_picture_is_limited(user, works, refused):
    assert HOUSEHOLD.too_much(user, works) == refused
    assert OPEN.too_much(user, works) is None
