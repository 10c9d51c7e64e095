"""The routes of the API in one table, and the OpenAPI document made from it and from the types of `generator.api`.

The router uses the same table (see `generator.service.server`), so the document describes what is served.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from generator import __version__
from generator.api.capabilities import Capabilities
from generator.api.types import (
    ErrorAnswer,
    Event,
    Health,
    JobId,
    JobRequest,
    JobStatus,
    MaxBytes,
    SentImage,
    Sha256,
    Sheet,
)

JSON = "application/json"
NDJSON = "application/x-ndjson"
YAML = "application/yaml"
PNG = "image/png"
JPEG = "image/jpeg"
WEBP = "image/webp"
# The pixels of a copy that was made to fit.
PICTURE_SIZE = "Picture-Size"
PROMETHEUS = "text/plain"
ANY_IMAGE = "image/*"

# The body of a success: a type as JSON, bytes of one of these media types, or nothing.
Content = type[BaseModel] | str | tuple[str, ...] | None


@dataclass(frozen=True)
class Route:
    """One call. ``name`` is the handler's name and the operation's id; ``errors`` are its own error statuses."""

    method: str
    path: str
    name: str
    summary: str
    answers: dict[int, Content]
    errors: tuple[int, ...] = ()
    # Parameters after the path; none is required.
    query: tuple[str, ...] = ()
    # A type as JSON, or bytes of a media type.
    body: type[BaseModel] | str | None = None


_JOB = "/v1/jobs/{id}"
_PICTURE = _JOB + "/pictures/{n}"

ROUTES = (
    Route("GET", "/v1/health", "health", "What the generator is doing", {200: Health}),
    Route("GET", "/v1/capabilities", "capabilities", "What can be drawn, and every limit", {200: Capabilities}),
    Route(
        "PUT",
        _JOB,
        "submit",
        "Submit a job; the same id with the same body is the same job",
        {200: JobStatus, 201: JobStatus},
        (400, 409, 413, 422, 429, 503),
        body=JobRequest,
    ),
    Route(
        "PUT",
        "/v1/images/{sha256}",
        "keep_image",
        "Upload an image to draw from (PNG, JPEG or WebP) before the job that names it",
        {200: SentImage},
        (413, 422, 503),
        body=ANY_IMAGE,
    ),
    Route("GET", _JOB, "status", "The state of a job", {200: JobStatus}, (404,)),
    Route("DELETE", _JOB, "cancel", "Cancel a job; one that has ended stays as it is", {200: JobStatus}, (404,)),
    Route(
        "GET",
        _JOB + "/events",
        "events",
        "A stream of the job's present state, its events and its end",
        {200: NDJSON},
        (404,),
    ),
    Route(
        "GET",
        _PICTURE,
        "picture",
        "A picture; as a WebP or JPEG of at most max_bytes, if its PNG is larger",
        {200: (PNG, WEBP, JPEG)},
        (404, 422),
        ("max_bytes",),
    ),
    Route("GET", _PICTURE + "/thumbnail", "thumbnail", "A small copy of a picture", {200: JPEG}, (404,)),
    Route("GET", _PICTURE + "/recipe", "recipe", "All that is needed to draw a picture again", {200: YAML}, (404,)),
    Route("GET", _JOB + "/sheet", "sheet", "The contact sheet of a job that is done", {200: Sheet}, (404, 409)),
    Route(
        "GET",
        _JOB + "/sheet/image",
        "sheet_image",
        "The contact sheet's image; of at most max_bytes, if it is larger",
        {200: (JPEG, WEBP)},
        (404, 409, 422),
        ("max_bytes",),
    ),
    Route("GET", _JOB + "/sheet/thumbnail", "sheet_thumbnail", "A small copy of the sheet", {200: JPEG}, (404, 409)),
    Route("GET", _JOB + "/sheet/recipes", "sheet_recipes", "The recipes of all its pictures", {200: YAML}, (404, 409)),
    Route("DELETE", _JOB + "/pictures", "forget", "Delete the files of a job that has ended", {204: None}, (409, 422)),
    Route(
        "POST",
        "/v1/pause",
        "pause",
        "Free one card or all at once",
        {200: Health},
        (422, 503),
        ("worker",),
    ),
    Route("POST", "/v1/resume", "resume", "Draw again, on one card or all", {200: Health}, (422, 503), ("worker",)),
    Route("GET", "/metrics", "metrics", "For Prometheus", {200: PROMETHEUS}),
    Route("GET", "/openapi.json", "openapi", "This document", {200: JSON}),
)

_DESCRIPTIONS = {
    200: "Success",
    201: "A new job",
    204: "The files are deleted",
    400: "Not JSON",
    401: "Over TCP: no token, or a wrong one",
    403: "Over TCP: another Host than this generator's",
    404: "Not found",
    409: "The job's state does not allow this",
    413: "The body is too large",
    422: "The request is invalid, or cannot be drawn",
    429: "The queue is full; Retry-After says when to try again",
    503: "Shutting down",
}

_PARAMETERS: dict[str, dict[str, Any]] = {
    "id": TypeAdapter(JobId).json_schema(),
    "sha256": TypeAdapter(Sha256).json_schema(),
    "n": {"type": "integer", "minimum": 0, "maximum": 99},
    "max_bytes": TypeAdapter(MaxBytes).json_schema(),
    "worker": {"type": "string"},
}

_REF = "#/components/schemas/{model}"


def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document."""
    bodies = {route.body for route in ROUTES if isinstance(route.body, type)}
    answers = {content for route in ROUTES for content in route.answers.values() if isinstance(content, type)}
    _, schemas = models_json_schema(
        [(body, "validation") for body in sorted(bodies, key=_name)]
        + [(answer, "serialization") for answer in sorted(answers | {ErrorAnswer}, key=_name)],
        ref_template=_REF,
    )
    event = TypeAdapter(Event).json_schema(ref_template=_REF, mode="serialization")
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Easel's generator",
            "version": __version__,
            "description": "Draws pictures, in fair turns. Over TCP every call needs the token.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"] | event.pop("$defs") | {"Event": event},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        # The UNIX socket needs no token.
        "security": [{"token": []}, {}],
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {"operationId": route.name, "summary": route.summary}
    in_path = [name for name in _PARAMETERS if f"{{{name}}}" in route.path]
    if parameters := [
        *({"name": name, "in": "path", "required": True, "schema": _PARAMETERS[name]} for name in in_path),
        *({"name": name, "in": "query", "schema": _PARAMETERS[name]} for name in route.query),
    ]:
        operation["parameters"] = parameters
    if route.body:
        operation["requestBody"] = {"required": True, "content": _content(route.body)}
    answers: dict[int, Content] = {**route.answers, **dict.fromkeys((*route.errors, 401, 403), ErrorAnswer)}
    operation["responses"] = {str(status): _response(status, answers[status]) for status in sorted(answers)}
    return operation


def _response(status: int, content: Content) -> dict[str, Any]:
    response: dict[str, Any] = {"description": _DESCRIPTIONS[status]}
    if content is not None:
        response["content"] = _content(content)
    if isinstance(content, tuple):
        size = {"description": "Width x height, if it was made to fit", "schema": {"type": "string"}}
        response["headers"] = {PICTURE_SIZE: size}
    if status == 429:
        response["headers"] = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}}
    return response


def _content(content: type[BaseModel] | str | tuple[str, ...]) -> dict[str, Any]:
    if isinstance(content, tuple):
        return {mimetype: {} for mimetype in content}
    if isinstance(content, type):
        return {JSON: {"schema": {"$ref": _REF.format(model=_name(content))}}}
    return {content: {"schema": {"$ref": _REF.format(model="Event")}} if content == NDJSON else {}}


def _name(model: type[BaseModel]) -> str:
    return model.__name__
