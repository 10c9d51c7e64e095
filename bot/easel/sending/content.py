"""The content of the events that the bot sends, as Matrix wants it. Pure: uploads nothing."""

import json
from enum import StrEnum
from typing import Any

from ..generator.types import ImageFile

# Our key in an event's content, by which a later reply or reaction finds its job.
EASEL_KEY = "household.easel"

# A homeserver takes events of up to 65,536 bytes. 4,096 are left for what it adds, and encryption makes four bytes out
# of three of the content's JSON, in which mautrix writes é as \\u00e9.
MAX_CONTENT_CHARS = 45_000
LEFT_OUT = "… The rest is left out: it does not fit into one message."


class EventKind(StrEnum):
    """The kind of an event of ours, in its mark and in its transaction id: a value in use never changes."""

    PICTURE = "picture"
    RECIPE = "recipe"
    SHEET = "sheet"
    # One file with the recipes of a sheet.
    RECIPES = "recipes"
    # The sentence that answers a command, or ends a job without a picture.
    ANSWER = "answer"
    # Sentences while a job is open: how many pictures, why nothing moves, the place in the queue.
    COUNT = "count"
    REASON = "reason"
    WAITING = "waiting"
    # Progress, as a reaction or as a notice with its edits; and the sign that stays.
    REACTION = "reaction"
    ENDED = "ended"
    PROGRESS = "progress"
    PROGRESS_EDIT = "progress-edit"
    PROGRESS_END = "progress-end"
    # Reactions on a picture for people to press.
    OFFER = "offer"
    HELLO = "hello"
    # What is wrong with the settings, to an admin.
    SETTINGS = "settings"
    # The mark on a message whose key did not come.
    UNREADABLE = "unreadable"


# A picture or a sheet, with its recipe file.
PICTURE_KINDS = (EventKind.PICTURE, EventKind.RECIPE)
SHEET_KINDS = (EventKind.SHEET, EventKind.RECIPES)


def mark(job: str, kind: EventKind, **more: int | str) -> dict[str, Any]:
    """The content that marks an event of ours. ``n`` counts from 0; pictures and recipes also have their ``count``.

    ``photo`` is the event with the photo that they were drawn from, if any.
    """
    return {EASEL_KEY: {"job": job, "kind": kind, **more}}


def picture_content(
    picture: ImageFile, *, text: str, image: dict[str, Any], thumbnail: dict[str, Any], relation: dict[str, Any]
) -> dict[str, Any]:
    """The ``m.image`` event. ``image`` and ``thumbnail`` are the results of their uploads, ``text`` is the caption."""
    return {
        "msgtype": "m.image",
        "filename": picture.filename,
        "body": text,
        **image,
        "info": {
            "w": picture.width,
            "h": picture.height,
            "size": picture.size,
            "mimetype": picture.mimetype,
            **{f"thumbnail_{key}": value for key, value in thumbnail.items()},
            "thumbnail_info": {
                "w": picture.thumbnail_width,
                "h": picture.thumbnail_height,
                "size": picture.thumbnail_size,
                "mimetype": picture.thumbnail_mimetype,
            },
            "xyz.amorgan.blurhash": picture.blurhash,
            # Without it Element shows a GIF badge.
            "org.matrix.msc4230.is_animated": False,
        },
        "m.mentions": {},
        "m.relates_to": relation,
    }


def recipe_content(
    picture: ImageFile, *, size: int, recipe: dict[str, Any], relation: dict[str, Any]
) -> dict[str, Any]:
    """The ``m.file`` event; ``recipe`` is the result of its upload, ``size`` its bytes."""
    filename = picture.filename.rpartition(".")[0] + ".yml"
    return {
        "msgtype": "m.file",
        "filename": filename,
        "body": filename,
        **recipe,
        "info": {"mimetype": "application/yaml", "size": size},
        "m.mentions": {},
        "m.relates_to": relation,
    }


def answer_content(text: str, relation: dict[str, Any] | None = None) -> dict[str, Any]:
    """A notice in plain text: what people typed is never read as markup, and nobody is mentioned."""
    content: dict[str, Any] = {"msgtype": "m.notice", "body": text, "m.mentions": {}}
    return content if relation is None else {**content, "m.relates_to": relation}


def edit_content(event_id: str, text: str) -> dict[str, Any]:
    """The edit that gives a notice of ours a new text."""
    new = {"msgtype": "m.notice", "body": text, "m.mentions": {}}
    return {**new, "m.new_content": new, "m.relates_to": {"rel_type": "m.replace", "event_id": event_id}}


def reaction_content(event_id: str, key: str) -> dict[str, Any]:
    return {"m.relates_to": {"rel_type": "m.annotation", "event_id": event_id, "key": key}}


def fitting(content: dict[str, Any]) -> dict[str, Any]:
    """The content with as much of its text as an event takes, in whole lines, and a sentence in place of the rest."""
    if _chars(content) <= MAX_CONTENT_CHARS or "body" not in content:
        return content
    room, text = MAX_CONTENT_CHARS - _chars({**content, "body": f"\n{LEFT_OUT}"}), content["body"]
    while (chars := _chars(text)) > room:
        text = text[: len(text) * room // chars]
    return {**content, "body": f"{text.rpartition(chr(10))[0] or text}\n{LEFT_OUT}"}


def _chars(json_value: Any) -> int:
    return len(json.dumps(json_value))
