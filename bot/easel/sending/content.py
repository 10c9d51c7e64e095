"""The content of the events that the bot sends, as Matrix wants it. Pure: uploads nothing."""

import json
from enum import StrEnum
from typing import Any

from ..generator.types import ImageFile
from .rich import Rich, Text, plain_of

# Our key in an event's content, by which a later reply or reaction finds its job.
EASEL_KEY = "household.easel"

# A homeserver takes events of up to 65,536 bytes. 4,096 are left for what it adds, and encryption makes four bytes out
# of three of the content's JSON, in which mautrix writes é as \\u00e9.
MAX_CONTENT_CHARS = 45_000
LEFT_OUT = "… The rest doesn't fit into one message."


class EventKind(StrEnum):
    """The kind of an event of ours, in its mark and in its transaction id: a value in use never changes."""

    PICTURE = "picture"
    RECIPE = "recipe"
    SHEET = "sheet"
    # One file with the recipes of a sheet.
    RECIPES = "recipes"
    # The edit that makes a recipe's notice a file, and a recipe that somebody asked for.
    RECIPE_FILE = "recipe-file"
    RECIPE_COPY = "recipe-copy"
    # The sentence that answers a command, or ends a job without a picture.
    ANSWER = "answer"
    # What everybody in a room waits for, with its edits, and the last one, when that is over.
    NOTE = "note"
    NOTE_EDIT = "note-edit"
    NOTE_END = "note-end"
    # Progress, as a reaction or as a notice with its edits; and the sign that stays.
    REACTION = "reaction"
    ENDED = "ended"
    PROGRESS = "progress"
    PROGRESS_EDIT = "progress-edit"
    PROGRESS_END = "progress-end"
    # Reactions on a picture for people to press.
    OFFER = "offer"
    # A star that somebody put on a picture in the gallery, and the link to the gallery in a direct chat.
    STAR = "star"
    LINK = "link"
    HELLO = "hello"
    # What is wrong with the settings, to an admin.
    SETTINGS = "settings"
    # The mark on a message whose key did not come.
    UNREADABLE = "unreadable"


# A picture or a sheet, with its recipe file.
PICTURE_KINDS = (EventKind.PICTURE, EventKind.RECIPE)
SHEET_KINDS = (EventKind.SHEET, EventKind.RECIPES)

# These are reactions, all others messages.
REACTION_KINDS = (EventKind.REACTION, EventKind.ENDED, EventKind.OFFER, EventKind.STAR, EventKind.UNREADABLE)


def mark(job: str, kind: EventKind, **more: int | str) -> dict[str, Any]:
    """The content that marks an event of ours. ``n`` counts from 0; pictures and recipes also have their ``count``.

    ``photo`` is the event with the photo that they were drawn from, if any.
    """
    return {EASEL_KEY: {"job": job, "kind": kind, **more}}


def picture_content(
    picture: ImageFile,
    *,
    filename: str,
    text: str,
    image: dict[str, Any],
    thumbnail: dict[str, Any],
    relation: dict[str, Any],
) -> dict[str, Any]:
    """The ``m.image`` event. ``image`` and ``thumbnail`` are the results of their uploads, ``text`` is the caption."""
    return {
        "msgtype": "m.image",
        "filename": filename,
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


def recipe_content(filename: str, *, size: int, recipe: dict[str, Any]) -> dict[str, Any]:
    """The ``m.file`` event of a recipe; ``recipe`` is the result of its upload, ``size`` its bytes."""
    return {
        "msgtype": "m.file",
        "filename": filename,
        "body": filename,
        **recipe,
        "info": {"mimetype": "application/yaml", "size": size},
        "m.mentions": {},
    }


def as_notice(file: dict[str, Any], relation: dict[str, Any] | None) -> dict[str, Any]:
    """A file as a notice with its name, which notifies nobody. It has the file, but clients show only the name.

    By Matrix's default push rules every message notifies, except notices and edits. So a file that is to come quietly
    comes as a notice, and ``as_file`` edits it.
    """
    notice = {**file, "msgtype": "m.notice"}
    return notice if relation is None else {**notice, "m.relates_to": relation}


def as_file(notice_id: str, file: dict[str, Any]) -> dict[str, Any]:
    """The edit that makes such a notice the file. It notifies nobody either."""
    return {**file, "m.new_content": file, "m.relates_to": {"rel_type": "m.replace", "event_id": notice_id}}


def answer_content(text: Text, relation: dict[str, Any] | None = None) -> dict[str, Any]:
    """A notice: what people typed is never read as markup, and nobody is mentioned."""
    content: dict[str, Any] = {"msgtype": "m.notice", "body": plain_of(text), "m.mentions": {}}
    if isinstance(text, Rich):
        content |= {"format": "org.matrix.custom.html", "formatted_body": text.html}
    return content if relation is None else {**content, "m.relates_to": relation}


def edit_content(event_id: str, text: str) -> dict[str, Any]:
    """The edit that gives a notice of ours a new text."""
    new = {"msgtype": "m.notice", "body": text, "m.mentions": {}}
    return {**new, "m.new_content": new, "m.relates_to": {"rel_type": "m.replace", "event_id": event_id}}


def reaction_content(event_id: str, key: str) -> dict[str, Any]:
    return {"m.relates_to": {"rel_type": "m.annotation", "event_id": event_id, "key": key}}


def fitting(content: dict[str, Any]) -> dict[str, Any]:
    """The content with as much of its text as an event takes, in whole lines, and a sentence in place of the rest."""
    if _chars(content) > MAX_CONTENT_CHARS:
        # HTML cannot be cut at a line.
        content = {key: value for key, value in content.items() if key not in ("format", "formatted_body")}
    if _chars(content) <= MAX_CONTENT_CHARS or "body" not in content:
        return content
    room, text = MAX_CONTENT_CHARS - _chars({**content, "body": f"\n{LEFT_OUT}"}), content["body"]
    while (chars := _chars(text)) > room:
        text = text[: len(text) * room // chars]
    return {**content, "body": f"{text.rpartition(chr(10))[0] or text}\n{LEFT_OUT}"}


def _chars(json_value: Any) -> int:
    return len(json.dumps(json_value))
