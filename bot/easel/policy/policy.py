"""What this house draws, and for whom: from a job's words to the body that the generator gets, or the reason why not.

Pure but for the settings it was made with; knows neither Matrix nor the network.
"""

from dataclasses import replace
from typing import Any

from ..generator.types import Capabilities
from ..jobs.body import CannotAsk, job_body
from ..jobs.job import Job
from ..settings import CurrentSettings
from .permissions import Permissions
from .room_profiles import profile_for
from .work import work_of


class Policy:
    """The settings' permissions and room profiles, put together."""

    def __init__(self, settings: CurrentSettings, permissions: Permissions) -> None:
        self._settings, self._permissions = settings, permissions

    def body(self, job: Job, capabilities: Capabilities) -> dict[str, Any]:
        """The body of the job, with its room's defaults and rules. Raises ParseError, CannotAsk."""
        profile = profile_for(job.message.room_id, self._settings().rooms)
        asked = job.asked
        requests = tuple(profile.applied_to(request, capabilities) for request in asked.requests)
        asked = replace(asked, requests=requests)
        body = job_body(
            asked,
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

    def notes(self, job: Job, capabilities: Capabilities) -> tuple[str, ...]:
        """What is to be told, in the captions, of how the room's rules and the job's model go together."""
        profile = profile_for(job.message.room_id, self._settings().rooms)
        notes = (note for request in job.asked.requests for note in profile.notes(request, capabilities))
        return tuple(dict.fromkeys(notes))
