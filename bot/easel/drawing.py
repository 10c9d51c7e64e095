"""One drawing from the request to the pictures in the room. Says nothing of failures: it raises them."""

import asyncio
from collections import defaultdict
from contextlib import aclosing, suppress
from dataclasses import dataclass
from logging import Logger

from .database import Store
from .generator_client import GeneratorClient
from .generator_errors import Cancelled, Failed, GeneratorError
from .generator_words import JobStatus, Picture, Position
from .homeserver import Homeserver
from .incoming import Message
from .job import job_body, job_id
from .language import DrawRequest
from .outbox import Debt, Outbox, Outgoing, Priority
from .picture_post import answer_content, caption, mark, picture_content, recipe_content

STARTING = "The generator is still starting. Your picture comes as soon as it is ready."

# A picture and its recipe.
EVENTS_PER_PICTURE = 2


@dataclass(frozen=True)
class Order:
    """A job that the generator has taken, and what its pictures are told with."""

    job: str
    message: Message
    pictures: int
    notes: tuple[str, ...]


class Draughtsman:
    """Has pictures drawn and brings them into the room."""

    def __init__(
        self, *, generator: GeneratorClient, store: Store, homeserver: Homeserver, outbox: Outbox, log: Logger
    ) -> None:
        self._generator, self._store = generator, store
        self._homeserver, self._outbox, self._log = homeserver, outbox, log
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def draw(self, message: Message, request: DrawRequest, *, seed: int) -> None:
        """Have drawn what was asked; returns when every picture is in the room.

        ``seed`` is used unless one was asked for. Raises CannotAsk, GeneratorError, NotSent.
        """
        job = job_id(message.event_id)
        with self._outbox.owing(EVENTS_PER_PICTURE * max(1, request.count or 1)) as debt:
            # The generator keeps the order of one person's jobs, so they must reach it in the order of the commands.
            async with self._turns[message.sender]:
                capabilities, answer = await self._generator.capabilities()
                body = job_body(request, capabilities, requester=message.sender, seed=seed)
                await self._generator.submit(job, body)
            order = Order(job, message, len(body["recipes"]), request.notes)
            self._log.info(f"{job}: {order.pictures} recipe(s) submitted")
            await self._store.keep_capabilities(answer)
            # The job is there, whether this is answered or not.
            with suppress(GeneratorError):
                if (await self._generator.health()).state == "loading":
                    await self._tell(order, STARTING, "starting")
            await self._bring(order, debt)

    async def _bring(self, order: Order, debt: Debt) -> None:
        brought: set[int] = set()
        told: set[str] = set()
        async with aclosing(self._generator.follow(order.job)) as events:
            async for event in events:
                pictures = event.pictures if isinstance(event, JobStatus) else ()
                for picture in (event,) if isinstance(event, Picture) else pictures:
                    if picture.n not in brought:
                        brought.add(picture.n)
                        await self._post(order, picture, debt)
                if isinstance(event, JobStatus | Position) and (reason := event.waiting_for) and reason not in told:
                    told.add(reason)
                    await self._tell(order, reason, f"waiting-{len(told)}")
                if isinstance(event, JobStatus) and event.state == "failed":
                    raise Failed(event.error.message if event.error else None)
                if isinstance(event, JobStatus) and event.state == "cancelled":
                    raise Cancelled

    async def _post(self, order: Order, picture: Picture, debt: Debt) -> None:
        """The picture first, then its recipe; both are uploaded before either is shown."""
        job, room_id, relation, n = order.job, order.message.room_id, order.message.relation, picture.n
        image = await self._generator.picture(job, n)
        thumbnail = await self._generator.thumbnail(job, n)
        recipe = await self._generator.recipe(job, n)
        post = picture_content(
            picture,
            text=caption(picture, order.notes),
            image=await self._homeserver.upload(room_id, image, picture.mimetype),
            thumbnail=await self._homeserver.upload(room_id, thumbnail, picture.thumbnail_mimetype),
            relation=relation,
        )
        file = recipe_content(
            picture,
            size=len(recipe),
            recipe=await self._homeserver.upload(room_id, recipe, "application/yaml"),
            relation=relation,
        )
        for kind, content, priority in (("picture", post, Priority.PICTURE), ("recipe", file, Priority.ANSWER)):
            marked = {**content, **mark(job, kind, n=n, count=order.pictures)}
            event = Outgoing(room_id=room_id, txn_id=f"{job}-{kind}-{n}", content=marked)
            await self._outbox.send(event, priority)
            debt.pay()
        self._log.info(f"{job}: picture {n} is in {room_id}")

    async def _tell(self, order: Order, reason: str, kind: str) -> None:
        content = {**answer_content(reason, order.message.relation), **mark(order.job, "waiting")}
        room_id, txn_id = order.message.room_id, f"{order.job}-{kind}"
        await self._outbox.send(Outgoing(room_id=room_id, txn_id=txn_id, content=content))
