"""The engine: from a recipe to a picture, on one device. Knows neither jobs, nor sockets, nor who asks.

Loads models, begins drawings, steps them through the loop (`generator.engine.loop`) and decodes what comes out.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakSet

import numpy as np
import torch
from diffusers import AutoencoderKL
from diffusers.image_processor import VaeImageProcessor
from PIL.Image import Image, fromarray

from generator.api.types import EarlierFacts, Memory, Recipe
from generator.engine.loop import Drawing, RunAhead, step_all
from generator.engine.memory import memory_of
from generator.engine.model import Model
from generator.engine.model_cache import Cached, ModelCache
from generator.engine.needs import Arrangement
from generator.engine.plan import lora_facts, make_plan, must_tile
from generator.engine.preview import Previews
from generator.engine.rows_apart import Packed, RowsApart, predict_packed, weights_of
from generator.engine.sampling import make_sampling
from generator.engine.text import Conditioning
from generator.errors import DrawingFailed, is_out_of_memory
from generator.models import known_words
from generator.models.registry import all_cards, default_model, larger_model
from generator.models.weights import how_to_get
from generator.pictures.image_files import fitted, read_file, read_image
from generator.settings import Settings
from generator.workers.assistance import Assistant
from generator.workers.messages import Draw, Drawn, Hello, WorkerState

log = logging.getLogger(__name__)

# Half of SDXL's native side: one tile decodes in 0.75 GiB, for a third more work.
TILE_PIXELS = 512

# Measuring the memory takes a hundredth of a small model's step.
_MEMORY_EVERY_S = 1.0

# Eight lines of a phone below a picture. The rest of a prompt of 200 words would fill two screens.
MAX_LEFT_OUT_CHARS = 200


class DiffusionEngine:
    """The engine of one device. Call it from one thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._models: ModelCache | None = None
        # They need their model where it is. The caller drops those that have ended.
        self._under_way: WeakSet[Drawing] = WeakSet()
        self._previews = Previews()
        self._ahead = RunAhead()
        self._apart = RowsApart()
        # Encodes the texts of drawings to come; ends with the process.
        self._beside = ThreadPoolExecutor(max_workers=1, thread_name_prefix="text")
        self._memory: Memory | None = None
        self._memory_read_at = 0.0

    def hello(self) -> Hello:
        """Choose the plan and load the default model. If that cannot be loaded, other models may draw.

        Raises DrawingFailed without a usable card: CUDA looks for cards once in a process, so this one must end.
        """
        models = self.models
        try:
            models.get(default_model(self._settings))
        except DrawingFailed as error:
            log.error("not ready to draw: %s", error)
        if (larger := larger_model(self._settings)) is not None:
            advice = how_to_get(larger, all_cards(self._settings)[larger])
            log.warning("%s is not here yet, so pocket draws. %s", larger, advice)
        return Hello(models.plan.device_name, self.state())

    def state(self) -> WorkerState:
        if self._models is None:
            return WorkerState()
        if self._memory is None or time.monotonic() - self._memory_read_at >= _MEMORY_EVERY_S:
            self._memory, self._memory_read_at = memory_of(self._models.plan.device), time.monotonic()
        models = self._models
        return WorkerState(models.names, self._memory, models.at_once, models.arrangement, models.load_s)

    @property
    def models(self) -> ModelCache:
        """The model cache, made with its plan at the first call. Raises DrawingFailed for an unusable card."""
        if self._models is None:
            plan = make_plan(self._settings.device, self._settings.vae_tiling)
            self._models = ModelCache(all_cards(self._settings), plan, max_at_once=self._settings.max_at_once)
        return self._models

    @torch.inference_mode()
    def start(self, draw: Draw) -> Drawing:
        """Encode the text and the image, if there is one, and make the noise. Raises DrawingFailed and Refused."""
        began = time.perf_counter()
        recipe = draw.recipe
        cached = self.models.ready(recipe.model, pixels=recipe.pixels, may_move=not self._under_way)
        model, plan = cached.model, self.models.plan
        self.models.begin(cached, (recipe.width, recipe.height))

        # 1. Text. Row 0 is the negative prompt, row 1 the prompt.
        conditioning = cached.text.encode(recipe.prompt, recipe.negative_prompt).to(plan.device, model.dtype)

        # 2. Noise, always from the CPU's generator and in fp32: a seed gives the same noise on every machine.
        sides = (recipe.height // model.pixels_per_latent, recipe.width // model.pixels_per_latent)
        shape = (1, model.unet.config.in_channels, *sides)
        random = torch.Generator().manual_seed(recipe.seed)
        clean = None if draw.image is None else self._encoded(draw.image, recipe, cached, random)
        noise = torch.randn(shape, generator=random, dtype=torch.float32).to(plan.device)

        # 3. The schedule; drawing from an image takes only its last steps.
        sampling = make_sampling(
            recipe.sampler, model.scheduler_config, steps=recipe.steps, device=plan.device, noise=random
        )
        if clean is not None:
            sampling.begin_at((recipe.steps - recipe.steps_drawn) * sampling.scheduler.order)
        latents = sampling.start(noise, clean)

        # 4. SDXL's size conditioning: original size, no crop, target size.
        size = (recipe.height, recipe.width)
        time_ids = torch.tensor([[*size, 0, 0, *size]], dtype=model.dtype, device=plan.device).repeat(2, 1)

        # 5. The LoRA, if the model has one for drafts.
        lora = model.draft_lora.ready() if recipe.tier == "draft" else None

        drawing = Drawing(
            recipe,
            draw.earlier,
            model,
            conditioning,
            time_ids,
            sampling,
            latents,
            time.perf_counter() - began,
            lora,
        )
        self._under_way.add(drawing)
        return drawing

    def prepare(self, recipe: Recipe) -> None:
        """Encode the text of a drawing to come in a thread, if the processor can do that while the card draws."""
        cached = self._models.find(recipe.model) if self._models else None
        if cached is not None and encodes_beside(self.models.plan.device, cached.model.arrangement):
            # An error occurs again when the drawing starts, and is reported then.
            self._beside.submit(cached.text.encode, recipe.prompt, recipe.negative_prompt)

    @torch.inference_mode()
    def step(self, drawings: Sequence[Drawing]) -> None:
        """Denoise each drawing by one step."""
        plan = self.models.plan
        for name in {drawing.recipe.model for drawing in drawings}:
            cached = self.models.get(name)
            together = [drawing for drawing in drawings if drawing.model is cached.model]
            # If UNet and VAE take turns, the UNet stays until a picture is decoded.
            if cached.model.arrangement is Arrangement.OFFLOADED:
                cached.model.put_unets(plan.device)
            try:
                step_all(together, at_once=cached.at_once, ahead=self._ahead, apart=self._apart)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                # Captured graphs hold memory that nothing else can use.
                cached.model.graphs.forget()
                pixels = together[0].recipe.pixels
                if (most := cached.at_once[pixels]) > 1 and len(together) > 1:
                    cached.at_once[pixels] = most // 2
                    log.warning("out of memory: at most %d are drawn at once from now on", most // 2)
                raise

    def add_assistant(self, name: str, assistant: Assistant) -> None:
        self._apart.add(name, assistant)

    def can_assist(self, weights: str) -> bool:
        """Whether the UNet with these weights is on the device."""
        return self._assisting(weights) is not None

    @torch.inference_mode()
    def assist(self, weights: str, work: Packed) -> np.ndarray:
        """Predict a row of another worker's drawing."""
        model = self._assisting(weights)
        assert model is not None
        return predict_packed(model, work)

    def _assisting(self, weights: str) -> Model | None:
        for name in self._models.names if self._models else ():
            cached = self.models.find(name)
            if cached is not None and weights_of(cached.model) == weights:
                return None if cached.model.arrangement is Arrangement.OFFLOADED else cached.model
        return None

    def preview(self, drawing: Drawing) -> Image | None:
        return self._previews.image(drawing) if self._settings.previews else None

    @torch.inference_mode()
    def finish(self, drawing: Drawing) -> Drawn:
        """Decode the latents to an image, in tiles if memory is short. Raises DrawingFailed."""
        began = time.perf_counter()
        recipe, model, plan = drawing.recipe, drawing.model, self.models.plan
        if not torch.isfinite(drawing.latents).all():
            raise DrawingFailed(
                "not_finite",
                "The picture turned into noise (NaN). A lower guidance may help.",
            )

        cached = self.models.get(recipe.model)
        with self._vae(cached, pixels=recipe.pixels) as vae:
            decoded, vae_dtype = _decoded(cached, drawing.latents)
            tiled = vae.use_tiling
        if self._settings.previews:
            self._previews.learn(drawing, decoded)
        image = _image(decoded)

        seconds = drawing.seconds + time.perf_counter() - began
        facts = plan.facts(
            card=model.card,
            arrangement=model.arrangement,
            fused=cached.ways.fused,
            vae_dtype=vae_dtype,
            tiled=tiled,
            together=drawing.most_together,
            cards=drawing.cards,
        )
        if recipe.tier == "draft":
            facts |= lora_facts(drawing.lora)
        notes = (
            *_left_out(drawing.conditioning),
            *_not_known(recipe, model),
            *_without_effect(recipe),
            *_differences(drawing.earlier, model.revision, facts),
        )
        return Drawn(image, round(seconds, 3), model.revision, facts, notes, model.card.enlarge)

    def _encoded(self, file: Path, recipe: Recipe, cached: Cached, random: torch.Generator) -> torch.Tensor:
        """Encode an image to fp32 latents, sampled from the distribution that the VAE predicts. Raises Refused."""
        image = fitted(read_image(read_file(file)), recipe.width, recipe.height)
        pixels = VaeImageProcessor().preprocess(image).to(self.models.plan.device)
        with self._vae(cached, pixels=recipe.pixels) as vae:
            latents: torch.Tensor = vae.encode(pixels).latent_dist.sample(random) * vae.config.scaling_factor
        return latents

    @contextmanager
    def _vae(self, cached: Cached, *, pixels: int) -> Iterator[AutoencoderKL]:
        """Yield the VAE on the device, in turns with the UNet if both do not fit, and tiling if memory is short."""
        model, plan = cached.model, self.models.plan
        takes_turns = model.arrangement is Arrangement.OFFLOADED
        if takes_turns:
            model.put_unets(torch.device("cpu"))
            model.vae.to(plan.device)
        model.vae.use_tiling = must_tile(plan, cached.needs, pixels=pixels)
        model.vae.tile_sample_min_size = TILE_PIXELS
        model.vae.tile_latent_min_size = TILE_PIXELS // model.pixels_per_latent
        try:
            yield model.vae
        except Exception as error:
            if is_out_of_memory(error):
                model.graphs.forget()
            raise
        finally:
            if takes_turns:
                model.vae.to("cpu")


def _decoded(cached: Cached, latents: torch.Tensor) -> tuple[torch.Tensor, torch.dtype]:
    """Decode to pixels (1, 3, height, width), -1 to 1; return them with the dtype of the computation.

    If memory runs out at this last moment, decodes once more, in tiles.
    """
    vae = cached.model.vae
    scaled = latents / vae.config.scaling_factor
    try:
        if cached.half_decoder is not None and not vae.use_tiling:
            decoded = cached.half_decoder.decode(scaled)
            if torch.isfinite(decoded).all():
                return decoded, torch.float16
            log.warning("decoding overflows in fp16: %s decodes in fp32 from now on", cached.model.name)
            cached.half_decoder = None
        return vae.decode(scaled, return_dict=False)[0], vae.dtype
    except Exception as error:
        if vae.use_tiling or not is_out_of_memory(error):
            raise
    # Not in the except block, where the error's traceback still holds its tensors.
    log.warning("out of memory: decoding once more, in tiles")
    cached.model.graphs.forget()
    torch.cuda.empty_cache()
    vae.use_tiling = True
    return _decoded(cached, latents)


def _image(decoded: torch.Tensor) -> Image:
    """Convert pixels (1, 3, height, width), -1 to 1, as diffusers' VaeImageProcessor does, but round on the device.

    Then only a quarter of the bytes leave the card.
    """
    bytes_ = ((decoded[0] / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    return fromarray(bytes_.permute(1, 2, 0).contiguous().cpu().numpy())


def encodes_beside(device: torch.device, arrangement: Arrangement) -> bool:
    """Whether text is encoded in RAM while a card draws. On a single device both would only share its time."""
    return device.type != "cpu" and arrangement is not Arrangement.RESIDENT


def make_engine(settings: Settings) -> DiffusionEngine:
    """Make the engine of a process that draws. Call it in that process: it changes torch's global settings."""
    # The same recipe must give the same pixels, so no algorithm is chosen by a race.
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    return DiffusionEngine(settings)


def _left_out(conditioning: Conditioning) -> tuple[str, ...]:
    return tuple(f"Too long for the model, left out: {_begun(text)}" for text in conditioning.left_out)


def _begun(text: str) -> str:
    """The beginning of ``text``, which shows where the cut is: the caption has the whole prompt."""
    return text if len(text) <= MAX_LEFT_OUT_CHARS else f"{text[:MAX_LEFT_OUT_CHARS].rstrip(', ')}…"


def _not_known(recipe: Recipe, model: Model) -> tuple[str, ...]:
    """Note the words that a model of few words does not know, but not those of its own negative prompt."""
    if model.known_words is None:
        return ()
    known = model.known_words.union(known_words.words(model.card.defaults.negative_prompt))
    unknown = known_words.unknown_words((recipe.prompt, recipe.negative_prompt), known)
    return (known_words.note(model.name, unknown),) if unknown else ()


def _without_effect(recipe: Recipe) -> tuple[str, ...]:
    if recipe.negative_prompt and recipe.guidance_scale <= 1:
        return ("Without guidance I can't leave things out.",)
    return ()


def _differences(
    earlier: EarlierFacts | None, revision: str, plan: dict[str, str | int | float | bool | None]
) -> tuple[str, ...]:
    """Note where this drawing's plan differs from the one in a recipe file, so that pixels may differ.

    Ignores facts that the file leaves out or that this version does not know.
    """
    if earlier is None:
        return ()
    then = {"model_revision": earlier.model_revision or revision, **(earlier.plan or {})}
    now = {"model_revision": revision, **plan}
    changed = [f"{key} was {then[key]}, is {value}" for key, value in now.items() if then.get(key, value) != value]
    return (f"Pixels may differ from the first drawing: {'; '.join(changed)}.",) if changed else ()
