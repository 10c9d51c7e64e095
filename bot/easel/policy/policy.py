"""What may be drawn in which room: from a job to the body that the generator gets, or the reason why not.

No I/O: it knows the settings in force, neither Matrix nor the network.
"""

from dataclasses import replace
from functools import partial
from typing import Any

from ..generator.types import Capabilities
from ..jobs.body import CannotAsk, job_body
from ..jobs.fitting import all_fitted, fitted, with_known_names
from ..jobs.job import Job
from ..language import Asked, DrawRequest, unused_note
from ..settings import CurrentSettings
from .own_defaults import with_own_defaults
from .permissions import Permissions
from .room_profiles import RoomProfile, profile_for
from .work import work_of


class Policy:
    """Applies room profiles, word lists and limits to jobs."""

    def __init__(self, settings: CurrentSettings, permissions: Permissions) -> None:
        self._settings, self._permissions = settings, permissions

    def body(self, job: Job, capabilities: Capabilities) -> dict[str, Any]:
        """The body of the job, with its room's defaults and rules. Raises ParseError, CannotAsk."""
        profile = profile_for(job.message.room_id, self._settings().rooms)
        requests, _ = _applied(profile, job, capabilities)
        body = job_body(
            replace(job.asked, requests=requests),
            capabilities,
            requester=job.message.sender,
            seed=job.seed,
            replaces=job.replaces,
            wildcards=self._settings().wildcards,
            has_photo=job.photo is not None,
        )
        refusal = profile.refusal(body, capabilities) or self._permissions.too_much(
            job.message.sender, work_of(body, capabilities)
        )
        if refusal:
            raise CannotAsk(refusal)
        return body

    def with_own_defaults(
        self, asked: Asked, own: DrawRequest, room_id: str, capabilities: Capabilities | None
    ) -> Asked:
        """What a person asked for in that room, with their own defaults for what they left open."""
        return with_own_defaults(asked, own, profile_for(room_id, self._settings().rooms), capabilities)

    def usual(
        self, room_id: str, own: DrawRequest | None, request: DrawRequest, capabilities: Capabilities
    ) -> DrawRequest:
        """What a person with those defaults gets in that room if they say only the words of a request.

        Where the request names another model than is usual, its steps and size are that model's.
        """
        profile = profile_for(room_id, self._settings().rooms)
        usual = profile.usual(request, capabilities)
        if own is None:
            return usual
        (bare,) = with_own_defaults(Asked((DrawRequest(),)), own, profile, capabilities).requests
        model = bare.model or usual.model
        typed = DrawRequest(tier=request.tier, model=None if request.model == model else request.model)
        (mine,) = with_own_defaults(Asked((typed,)), own, profile, capabilities).requests
        # A shape is fitted elsewhere, so no size is usual then.
        size = None if mine.aspect_ratio else mine.size or usual.size
        return replace(usual, model=model, steps=mine.steps or usual.steps, size=size)

    def notes(self, job: Job, capabilities: Capabilities) -> tuple[str, ...]:
        """Sentences for the captions: what the model cannot do as asked, or as the room's profile wants it."""
        profile = profile_for(job.message.room_id, self._settings().rooms)
        requests, unnamed = _applied(profile, job, capabilities)
        fit = partial(fitted, capabilities=capabilities, has_photo=job.photo is not None)
        _, unused, fitting = all_fitted(requests, fit)
        left_out = unused_note((*job.asked.unused, *unnamed, *unused))
        notes = (note for request in job.asked.requests for note in profile.notes(request, capabilities))
        return tuple(dict.fromkeys((*((left_out,) if left_out else ()), *fitting, *notes)))


def _applied(
    profile: RoomProfile, job: Job, capabilities: Capabilities
) -> tuple[tuple[DrawRequest, ...], tuple[str, ...]]:
    """A job's requests in the generator's names and with the room's defaults, and the pasted names that it lacks."""
    named, unnamed, _ = all_fitted(job.asked.requests, partial(with_known_names, capabilities=capabilities))
    return tuple(profile.applied_to(request, capabilities) for request in named), unnamed
