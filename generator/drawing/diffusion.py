"""The engine: from a recipe to a picture, on one device. Knows neither jobs, nor sockets, nor who asks.

Loads models, begins drawings, steps them through the loop (`generator.drawing.loop`) and decodes what comes out.
"""

import logging
import time
from collections.abc import Sequence

import torch
from diffusers.image_processor import VaeImageProcessor
from PIL.Image import Image

from generator import known_words
from generator.api import EarlierFacts, Recipe
from generator.capabilities import all_cards, default_model
from generator.drawing.batching import measured_at_once
from generator.drawing.loop import Drawing, step_all
from generator.drawing.memory import memory_of
from generator.drawing.model import Model, load_model
from generator.drawing.plan import Plan, make_plan, must_tile
from generator.drawing.preview import Previews
from generator.drawing.samplers import make_scheduler, step_options
from generator.drawing.text import Conditioning, TextEncoding
from generator.errors import DrawingFailed
from generator.lane import Draw, Drawn, Hello, LaneState
from generator.settings import Settings
from generator.weights import locate

log = logging.getLogger(__name__)

# Half of SDXL's native side: one tile decodes in 0.75 GiB, for a third more work.
TILE_PIXELS = 512


class DiffusionEngine:
    """Draws on one device with one model loaded at a time. Called from one thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._cards = all_cards(settings)
        self._plan: Plan | None = None
        self._model: Model | None = None
        self._text: TextEncoding | None = None
        # How many drawings may share a call of the UNet.
        self.at_once = 1
        self._previews = Previews()

    def hello(self) -> Hello:
        """Choose the plan and load the default model. What cannot be done is logged here and told by every drawing."""
        try:
            self.loaded(default_model(self._settings))
        except DrawingFailed as error:
            log.error("not ready to draw: %s", error)
        device = self._plan.device_name if self._plan else "no usable card"
        return Hello(device, self.state())

    def state(self) -> LaneState:
        models = (self._model.name,) if self._model else ()
        return LaneState(models, memory_of(self._plan.device) if self._plan else None, self.at_once)

    def loaded(self, name: str) -> Model:
        """The model in memory; another one goes before it comes. Raises DrawingFailed."""
        if self._model is None or self._model.name != name:
            plan = self._require_plan()
            located = locate(name, self._cards[name])
            # Two models would not fit the card.
            self._model = self._text = None
            if plan.device.type == "cuda":
                torch.cuda.empty_cache()
            began = time.perf_counter()
            self._model = load_model(name, self._cards[name], located, plan)
            self._text = TextEncoding(self._model)
            self.at_once = measured_at_once(self._model, most=self._settings.max_at_once)
            log.info("loaded %s, revision %s, in %.1f s", name, located.revision, time.perf_counter() - began)
        return self._model

    @torch.inference_mode()
    def start(self, draw: Draw) -> Drawing:
        """Encode the text and make the noise."""
        began = time.perf_counter()
        recipe = draw.recipe
        model = self.loaded(recipe.model)
        plan = self._require_plan()
        assert self._text is not None

        # 1. Text. Row 0 is the negative prompt, row 1 the prompt.
        conditioning = self._text.encode(recipe.prompt, recipe.negative_prompt)

        # 2. Schedule. A new scheduler for each drawing: it keeps the outputs of earlier steps.
        scheduler = make_scheduler(recipe.sampler, model.scheduler_config)
        scheduler.set_timesteps(recipe.steps, device=plan.device)

        # 3. Noise, always from the CPU's generator and in fp32: the same seed starts alike on every machine.
        sides = (recipe.height // model.pixels_per_latent, recipe.width // model.pixels_per_latent)
        shape = (1, model.unet.config.in_channels, *sides)
        noise = torch.Generator().manual_seed(recipe.seed)
        latents = torch.randn(shape, generator=noise, dtype=torch.float32).to(plan.device) * scheduler.init_noise_sigma

        # 4. SDXL's size conditioning: original size, no crop, target size.
        size = (recipe.height, recipe.width)
        time_ids = torch.tensor([[*size, 0, 0, *size]], dtype=plan.dtype, device=plan.device).repeat(2, 1)

        return Drawing(
            recipe,
            draw.earlier,
            model,
            conditioning,
            time_ids,
            scheduler,
            step_options(scheduler, noise),
            latents,
            time.perf_counter() - began,
        )

    @torch.inference_mode()
    def step(self, drawings: Sequence[Drawing]) -> None:
        """One step of denoising for each."""
        try:
            step_all(drawings, at_once=self.at_once)
        except torch.OutOfMemoryError:
            if self.at_once > 1 and len(drawings) > 1:
                self.at_once //= 2
                log.warning("out of memory: at most %d are drawn at once from now on", self.at_once)
            raise

    def preview(self, drawing: Drawing) -> Image | None:
        return self._previews.image(drawing) if self._settings.previews else None

    @torch.inference_mode()
    def finish(self, drawing: Drawing) -> Drawn:
        """Decode the latents to an image, in fp32 and in tiles when memory is short."""
        began = time.perf_counter()
        recipe, model, plan = drawing.recipe, drawing.model, self._require_plan()
        if not torch.isfinite(drawing.latents).all():
            raise DrawingFailed(
                "not_finite",
                "The drawing fell apart into numbers that are none. A lower guidance may help.",
            )

        tiled = must_tile(plan, pixels=recipe.pixels, vae_width=model.vae.config.block_out_channels[0])
        model.vae.use_tiling = tiled
        model.vae.tile_sample_min_size = TILE_PIXELS
        model.vae.tile_latent_min_size = TILE_PIXELS // model.pixels_per_latent
        decoded = model.vae.decode(drawing.latents / model.vae.config.scaling_factor, return_dict=False)[0]
        if self._settings.previews:
            self._previews.learn(drawing, decoded)
        image = VaeImageProcessor().postprocess(decoded, output_type="pil")[0]

        seconds = drawing.seconds + time.perf_counter() - began
        facts = plan.facts(tiled=tiled, together=drawing.most_together, enlarge=model.card.enlarge)
        notes = (
            *_left_out(drawing.conditioning),
            *_not_known(recipe, model),
            *_differences(drawing.earlier, model.revision, facts),
        )
        return Drawn(image, round(seconds, 3), model.revision, facts, notes, model.card.enlarge)

    def _require_plan(self) -> Plan:
        if self._plan is None:
            self._plan = make_plan(self._settings.device, self._settings.vae_tiling)
            # The same pixels for the same recipe: no algorithm is chosen by a race.
            torch.backends.cudnn.benchmark = False
            torch.backends.cudnn.deterministic = True
            log.info("drawing on %s in %s", self._plan.device_name, self._plan.dtype)
        return self._plan


def make_engine(settings: Settings) -> DiffusionEngine:
    """The lane's engine factory: called in the lane's process."""
    return DiffusionEngine(settings)


def _left_out(conditioning: Conditioning) -> tuple[str, ...]:
    return tuple(f"Too long for the model, left out: {text}" for text in conditioning.left_out)


def _not_known(recipe: Recipe, model: Model) -> tuple[str, ...]:
    """What a model that was taught few words does not know of what was typed; its own negative prompt was not."""
    if model.known_words is None:
        return ()
    known = model.known_words.union(known_words.words(model.card.defaults.negative_prompt))
    unknown = known_words.unknown_words((recipe.prompt, recipe.negative_prompt), known)
    return (known_words.note(model.name, unknown),) if unknown else ()


def _differences(
    earlier: EarlierFacts | None, revision: str, plan: dict[str, str | int | float | bool | None]
) -> tuple[str, ...]:
    """Where this drawing's plan is not the one that a recipe file recorded, so that pixels may differ.

    What the file leaves out, or what this version does not know, is not compared.
    """
    if earlier is None:
        return ()
    then = {"model_revision": earlier.model_revision or revision, **(earlier.plan or {})}
    now = {"model_revision": revision, **plan}
    changed = [f"{key} was {then[key]}, is {value}" for key, value in now.items() if then.get(key, value) != value]
    return (f"Pixels may differ from the first drawing: {'; '.join(changed)}.",) if changed else ()
