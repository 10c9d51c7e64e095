"""The model cache: the model that draws is on the device, earlier ones stay there while they fit, else in RAM.

Chooses each model's arrangement from what it needs and what is free, before it loads anything. Knows no drawings.
"""

import logging
import math
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

import psutil
import torch

from generator.engine.half_decoder import HalfDecoder
from generator.engine.memory import memory_of
from generator.engine.model import Model, load_model
from generator.engine.needs import GIB, SPARE_BYTES, Arrangement, Needs, arrange, count
from generator.engine.plan import Plan, free_bytes
from generator.engine.remembered_ways import Remembered, Ways, key_of
from generator.engine.text import TextEncoding
from generator.engine.ways import Size, can_fuse, find, measured_at_once, take
from generator.errors import CardBusy, DrawingFailed
from generator.models.cards import CardSettings
from generator.models.weights import locate

log = logging.getLogger(__name__)

# Free memory beside the model that capturing graphs requires: the graphs of all sizes take a quarter of it at most. A
# card with 8 GB never has it, and does not need graphs: it computes more slowly than Python launches.
_ROOM_FOR_GRAPHS = 6 * GIB

# What a model that waits in RAM leaves to everything else on the machine.
_RAM_SPARE_BYTES = 2 * GIB


@dataclass
class Cached:
    """A model with its text encoding and its ways, which are remembered by ``key``.

    ``at_once`` is how many drawings may share calls, by the pixels of each; ``pixels`` are those of the latest drawing.
    ``load_s`` is how long it took to load, without measuring its ways, which is done once for each device.
    """

    model: Model
    text: TextEncoding
    needs: Needs
    pixels: int
    at_once: dict[int, int]
    load_s: float
    ways: Ways = field(default_factory=Ways)
    key: str = ""
    half_decoder: HalfDecoder | None = None


class ModelCache:
    """All models, by name. Call it from the card's thread only."""

    def __init__(self, cards: Mapping[str, CardSettings], plan: Plan, *, max_at_once: int) -> None:
        self.plan = plan
        self._cards, self._max_at_once = cards, max_at_once
        self._remembered = Remembered()
        # Ordered by use, the most recent first.
        self._on_device: list[Cached] = []
        self._in_ram: list[Model] = []

    @property
    def names(self) -> tuple[str, ...]:
        """The models that can draw without loading."""
        return tuple(cached.model.name for cached in self._on_device)

    @property
    def at_once(self) -> int:
        """How many drawings may share calls with the latest one."""
        return self._on_device[0].at_once[self._on_device[0].pixels] if self._on_device else 1

    @property
    def load_s(self) -> float:
        """How long the model that drew last took to load; 0 without one."""
        return self._on_device[0].load_s if self._on_device else 0.0

    @property
    def arrangement(self) -> str | None:
        """Where the parts of the model that drew last are, in words; None without a model."""
        return self._on_device[0].model.arrangement.meaning if self._on_device else None

    def get(self, name: str, *, pixels: int | None = None) -> Cached:
        """Load the model or return it, ready to draw. Raises DrawingFailed, and CardBusy if others hold the memory.

        A model that is loaded is arranged for a picture of ``pixels``, by default of its own size.
        """
        if (cached := self.find(name)) is None:
            cached = self._load(name, pixels)
        self._on_device.remove(cached)
        self._on_device.insert(0, cached)
        return cached

    def find(self, name: str) -> Cached | None:
        """Return the model if it can draw without loading, else None."""
        return next((cached for cached in self._on_device if cached.model.name == name), None)

    def ready(self, name: str, *, pixels: int, may_move: bool) -> Cached:
        """Return the model with room for a picture of ``pixels``.

        Loads it anew if it ``may_move``, and the picture needs a slower arrangement or has room in a faster one. Puts
        other models away for it. Raises DrawingFailed, and CardBusy if other programs hold the memory.
        """
        self._rest()
        cached = self.get(name, pixels=pixels)
        if self._can_stay(cached, pixels, may_move=may_move):
            return cached
        # Dropped before it is loaded anew: the card has no room for both.
        self._on_device.remove(cached)
        del cached
        torch.cuda.empty_cache()
        return self.get(name, pixels=pixels)

    def begin(self, cached: Cached, size: Size) -> None:
        """Note the size of a drawing that starts. At a new size, measure how many drawings may share calls."""
        pixels = math.prod(size)
        if pixels not in cached.at_once:
            cached.at_once[pixels] = self._at_once(cached, size)
        cached.pixels = pixels

    def _rest(self) -> None:
        """Take off the device what stays there only while its model draws."""
        for cached in self._on_device:
            cached.model.rest()

    def _can_stay(self, cached: Cached, pixels: int, *, may_move: bool) -> bool:
        """Make room for a picture of ``pixels``; return whether the model draws it in the arrangement that it has."""
        name, needs, arrangement = cached.model.name, cached.needs, cached.model.arrangement
        if may_move and self._has_room_for_faster(cached, pixels):
            return False
        held = needs.weights(arrangement)
        while True:
            try:
                self._arrange(name, needs, pixels, held=held, possible=(arrangement,))
                return True
            except DrawingFailed as error:
                if not isinstance(error, CardBusy):
                    # Nothing is put away for what fits in no arrangement.
                    with suppress(CardBusy):
                        self._arrange(name, needs, pixels, held=held)
                if cached.half_decoder is not None:
                    # The half decoder only saves time, and its memory is not counted.
                    cached.half_decoder = None
                    torch.cuda.empty_cache()
                elif self._on_device[-1] is not cached:
                    self._put_away(self._on_device.pop())
                elif not may_move or self._arrange(name, needs, pixels, held=held) is arrangement:
                    raise
                else:
                    return False

    def _has_room_for_faster(self, cached: Cached, pixels: int) -> bool:
        """Whether the model would get a faster arrangement for this size: large pictures pass, and games end.

        One in which its own size fits, too, else a few smaller pictures would cost two loads; and with room to spare,
        else what other programs take and give back all the time would cost many.
        """
        possible, own = self.plan.arrangements, math.prod(cached.model.card.sizes["square"])
        faster = possible[: possible.index(cached.model.arrangement)]
        if not faster:
            return False
        held = self._held - SPARE_BYTES
        try:
            self._arrange(cached.model.name, cached.needs, max(pixels, own), held=held, possible=faster)
        except DrawingFailed:
            return False
        return True

    def _load(self, name: str, asked: int | None) -> Cached:
        card, plan, began = self._cards[name], self.plan, time.perf_counter()
        located = locate(name, card)
        needs = count(name, card, located, stored=plan.stored, computed=plan.computed)
        pixels = math.prod(card.sizes["square"])
        arrangement = self._make_room(name, needs, pixels=asked or pixels)
        model = self._from_ram(name, arrangement) or load_model(name, card, located, plan, arrangement)
        model.bring(plan.device)
        # Only now, since compel stays on the device that the encoders are on when it is made.
        text, load_s = TextEncoding(model), time.perf_counter() - began
        cached = Cached(model, text, needs, pixels, at_once={pixels: 1}, load_s=load_s)
        self._choose_ways(cached, pixels=pixels)
        self._on_device.insert(0, cached)
        log.info(
            "%s, revision %s, is %s in %s: it takes up to %.1f GiB, and %.1f GiB are free now; ready after %.1f s",
            name,
            model.revision,
            arrangement,
            plan.computed,
            needs.peak_gib(arrangement, asked or pixels),
            free_bytes(plan.device) / GIB,
            time.perf_counter() - began,
        )
        return cached

    def _make_room(self, name: str, needs: Needs, *, pixels: int) -> Arrangement:
        """Choose the model's arrangement as if alone; put others away, least recently used first, until it fits."""
        best = self._arrange(name, needs, pixels, held=self._held)
        while self._on_device:
            try:
                if self._arrange(name, needs, pixels, held=0) is best:
                    break
            except CardBusy:
                pass
            self._put_away(self._on_device.pop())
        return best

    @property
    def _held(self) -> int:
        """The bytes on the device that putting all models away would free."""
        return sum(cached.needs.weights(cached.model.arrangement) for cached in self._on_device)

    def _arrange(
        self, name: str, needs: Needs, pixels: int, *, held: int, possible: tuple[Arrangement, ...] | None = None
    ) -> Arrangement:
        """Choose an arrangement for the free memory plus ``held`` bytes, which we would free. Raises as `arrange`."""
        return arrange(
            name,
            needs,
            free=free_bytes(self.plan.device) + held,
            total=memory_of(self.plan.device).total_bytes,
            pixels=pixels,
            possible=possible or self.plan.arrangements,
        )

    def _put_away(self, cached: Cached) -> None:
        """Move a model from the card to RAM, in place of the least recently used ones; drop it if RAM has no room."""
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
        """Take the model out of RAM; None unless it is there and was loaded for the same arrangement."""
        model = next((model for model in self._in_ram if model.name == name), None)
        if model is not None:
            self._in_ram.remove(model)
        return model if model is not None and model.arrangement is arrangement else None

    def _choose_ways(self, cached: Cached, *, pixels: int) -> None:
        """Choose the fastest ways of calling the model that fit into memory. They are measured once for each device."""
        model, most = cached.model, self._most(cached.needs, pixels)
        # Loaded for a smaller picture, a model may have no room to be measured at its own size.
        if model.arrangement is Arrangement.OFFLOADED or free_bytes(self.plan.device) < cached.needs.step(pixels):
            return
        is_card = self.plan.device.type == "cuda"
        # On a card graphs keep their memory, so there must be plenty.
        may_record = not is_card or free_bytes(self.plan.device) >= _ROOM_FOR_GRAPHS
        key = key_of(model, may_record=may_record, most=most)
        ways = self._remembered.get(key)
        if ways is None or ways.trouble or not take(model, ways):
            if is_card:
                # If measuring kills this process, the next one must not try again.
                self._remembered.put(key, Ways())
                ways = find(model, may_fuse=can_fuse(model), may_record=may_record, most=most)
            else:
                model.graphs.is_on = True
                ways = Ways(recorded=True, at_once=measured_at_once(model, model.card.sizes["square"], most=most))
            self._remembered.put(key, ways)
        beside = cached.needs.peak(model.arrangement, pixels) - cached.needs.weights(model.arrangement)
        if ways.half_decoder and free_bytes(self.plan.device) > SPARE_BYTES + beside + cached.needs.vae // 2:
            cached.half_decoder = HalfDecoder(model.vae)
        cached.ways, cached.key, cached.at_once[pixels] = ways, key, ways.at_once

    def _at_once(self, cached: Cached, size: Size) -> int:
        """How many drawings of another size than the model's own may share calls, measured where that may help."""
        own, pixels = math.prod(cached.model.card.sizes["square"]), math.prod(size)
        # Photos come in any size: what is within a fifth of another one is measured once.
        power = round(2 * math.log2(pixels / own)) / 2
        if power == 0:
            return cached.at_once[own]
        most = self._most(cached.needs, pixels)
        # Where a call is busy with the arithmetic of one drawing, that of a larger one is, too.
        if not cached.key or most == 1 or (cached.at_once[own] == 1 and power > 0):
            return 1
        kind = f"2^{power:g} of the pixels, at most {most}"
        known = self._known(cached).at_once_elsewhere.get(kind)
        if known is None:
            # If measuring kills this process, the next one must not try again.
            self._remember(cached, kind, 1)
            known = measured_at_once(cached.model, size, most=most)
            self._remember(cached, kind, known)
            log.info("%s at %dx%d: up to %d drawings share calls", cached.model.name, *size, known)
        return known

    def _known(self, cached: Cached) -> Ways:
        """The model's ways with what another worker on an equal card may have added."""
        return self._remembered.get(cached.key) or cached.ways

    def _remember(self, cached: Cached, kind: str, at_once: int) -> None:
        known = self._known(cached)
        cached.ways = replace(known, at_once_elsewhere={**known.at_once_elsewhere, kind: at_once})
        self._remembered.put(cached.key, cached.ways)

    def _most(self, needs: Needs, pixels: int) -> int:
        """The largest power of two of drawings of this size that fit into memory together, up to the setting's."""
        room = free_bytes(self.plan.device) - SPARE_BYTES
        most = max(1, min(self._max_at_once, room // max(1, needs.step(pixels))))
        return 1 << (most.bit_length() - 1)
