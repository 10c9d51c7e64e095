"""The models in memory: the one that draws on the device, the ones before it there as well while they fit, else in RAM.

Chooses each model's arrangement from what it needs and what is free, before anything of it is loaded.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

import psutil
import torch

from generator.engine.half_decoder import HalfDecoder
from generator.engine.memory import memory_of
from generator.engine.model import Model, load_model
from generator.engine.needs import GIB, SPARE_BYTES, Arrangement, Needs, arrange, count
from generator.engine.plan import Plan, free_bytes
from generator.engine.remembered_ways import Remembered, Ways, key_of
from generator.engine.text import TextEncoding
from generator.engine.ways import can_fuse, find, measured_at_once, take
from generator.errors import CardBusy
from generator.models.cards import CardSettings
from generator.models.weights import locate

log = logging.getLogger(__name__)

# What is free of a card beside the model when its calls are recorded: those of all sizes take a quarter of it at most,
# and a card with 8 GB, which computes more slowly than Python launches, never has so much.
_ROOM_FOR_GRAPHS = 6 * GIB

# Left to everything else on the machine when a model waits in RAM.
_RAM_SPARE_BYTES = 2 * GIB


@dataclass
class Cached:
    """A model with what goes with it. ``at_once`` is how many drawings may share its calls."""

    model: Model
    text: TextEncoding
    needs: Needs
    at_once: int = 1
    # Whether the model draws with our own kernels.
    fused: bool = False
    half_decoder: HalfDecoder | None = None


class ModelCache:
    """Every model is asked for by name; called from the card's thread only."""

    def __init__(self, cards: Mapping[str, CardSettings], plan: Plan, *, max_at_once: int) -> None:
        self.plan = plan
        self._cards, self._max_at_once = cards, max_at_once
        self._remembered = Remembered()
        # The last one that was asked for comes first.
        self._on_device: list[Cached] = []
        self._in_ram: list[Model] = []

    @property
    def names(self) -> tuple[str, ...]:
        """The models that can draw at once."""
        return tuple(cached.model.name for cached in self._on_device)

    @property
    def at_once(self) -> int:
        return self._on_device[0].at_once if self._on_device else 1

    def get(self, name: str) -> Cached:
        """The model, ready to draw. Raises DrawingFailed, and CardBusy where other programs hold the memory."""
        if (cached := self.find(name)) is None:
            cached = self._load(name)
        self._on_device.remove(cached)
        self._on_device.insert(0, cached)
        return cached

    def find(self, name: str) -> Cached | None:
        """The model if it can draw at once; it is not loaded for that."""
        return next((cached for cached in self._on_device if cached.model.name == name), None)

    def check(self, cached: Cached, *, pixels: int) -> None:
        """Whether a picture of that size has room beside the weights, which are there; if not, other models go.

        Raises as ``get`` does.
        """
        needs, arrangement = cached.needs, cached.model.arrangement
        while True:
            try:
                self._arrange(
                    cached.model.name, needs, pixels, held=needs.weights(arrangement), possible=(arrangement,)
                )
                return
            except CardBusy:
                if cached.half_decoder is not None:
                    # It takes memory that is not counted, and saves only time.
                    cached.half_decoder = None
                    torch.cuda.empty_cache()
                    continue
                if self._on_device[-1] is cached:
                    raise
                self._put_away(self._on_device.pop())

    def _load(self, name: str) -> Cached:
        card, plan, began = self._cards[name], self.plan, time.perf_counter()
        located = locate(name, card)
        needs = count(name, card, located, stored=plan.stored, computed=plan.computed)
        width, height = card.sizes["square"]
        arrangement = self._make_room(name, needs, pixels=width * height)
        model = self._from_ram(name, arrangement) or load_model(name, card, located, plan, arrangement)
        model.bring(plan.device)
        # Only now: compel's parts stay where the encoders are when it is made.
        cached = Cached(model, TextEncoding(model), needs)
        self._choose_ways(cached, pixels=width * height)
        self._on_device.insert(0, cached)
        log.info(
            "%s, revision %s, is %s in %s: up to %.1f GiB of %.1f GiB free; ready after %.1f s",
            name,
            model.revision,
            arrangement,
            plan.computed,
            needs.peak(arrangement, width * height) / GIB,
            free_bytes(plan.device) / GIB,
            time.perf_counter() - began,
        )
        return cached

    def _make_room(self, name: str, needs: Needs, *, pixels: int) -> Arrangement:
        """The arrangement that it would have alone; models go, the longest unused first, until it has it."""
        held = sum(other.needs.weights(other.model.arrangement) for other in self._on_device)
        best = self._arrange(name, needs, pixels, held=held)
        while self._on_device:
            try:
                if self._arrange(name, needs, pixels, held=0) is best:
                    break
            except CardBusy:
                pass
            self._put_away(self._on_device.pop())
        return best

    def _arrange(
        self, name: str, needs: Needs, pixels: int, *, held: int, possible: tuple[Arrangement, ...] | None = None
    ) -> Arrangement:
        """What fits into what is free and the ``held`` bytes that we would give up for it."""
        return arrange(
            name,
            needs,
            free=free_bytes(self.plan.device) + held,
            total=memory_of(self.plan.device).total_bytes,
            pixels=pixels,
            possible=possible or self.plan.arrangements,
        )

    def _put_away(self, cached: Cached) -> None:
        """From the card into RAM, if there is room for it; else out of memory. The longest unused go first."""
        if self.plan.device.type != "cuda":
            return
        size = cached.needs.weights(Arrangement.RESIDENT)
        while self._in_ram and psutil.virtual_memory().available < size + _RAM_SPARE_BYTES:
            self._in_ram.pop()
        if psutil.virtual_memory().available >= size + _RAM_SPARE_BYTES:
            cached.model.put_away()
            self._in_ram.insert(0, cached.model)
        torch.cuda.empty_cache()

    def _from_ram(self, name: str, arrangement: Arrangement) -> Model | None:
        """The model that was put away, if it was loaded for the same arrangement."""
        model = next((model for model in self._in_ram if model.name == name), None)
        if model is not None:
            self._in_ram.remove(model)
        return model if model is not None and model.arrangement is arrangement else None

    def _choose_ways(self, cached: Cached, *, pixels: int) -> None:
        """The fastest ways of calling the model that there is room for, tried once on each card."""
        model = cached.model
        room = free_bytes(self.plan.device) - SPARE_BYTES
        most = max(1, min(self._max_at_once, room // max(1, cached.needs.step(pixels))))
        most = 1 << (most.bit_length() - 1)
        if self.plan.device.type == "cpu":
            model.graphs.is_on = True
            cached.at_once = measured_at_once(model, most=most)
        elif model.arrangement is not Arrangement.OFFLOADED:
            # Graphs keep their memory: only where there is plenty.
            may_record = free_bytes(self.plan.device) >= _ROOM_FOR_GRAPHS
            key = key_of(model, may_record=may_record, most=most)
            ways = self._remembered.get(key)
            if ways is None or ways.trouble or not take(model, ways):
                # A trial that ends this process is not made again by the next one.
                self._remembered.put(key, Ways())
                ways = find(model, may_fuse=can_fuse(model), may_record=may_record, most=most)
                self._remembered.put(key, ways)
            cached.at_once, cached.fused = ways.at_once, ways.fused
            beside = cached.needs.peak(model.arrangement, pixels) - cached.needs.weights(model.arrangement)
            if ways.half_decoder and free_bytes(self.plan.device) > SPARE_BYTES + beside + cached.needs.vae // 2:
                cached.half_decoder = HalfDecoder(model.vae)
