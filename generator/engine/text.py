"""Encode prompts to the embeddings that the UNet reads, with compel, by one text encoder (SD) or two (SDXL)."""

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from threading import Lock
from types import SimpleNamespace
from typing import Any
from weakref import WeakMethod

import torch
from compel import Compel, ReturnedEmbeddingsType

from generator.engine.captured_graphs import CapturedGraphs, capture
from generator.engine.model import Model
from generator.engine.text_chunks import are_read_alike, chunks
from generator.errors import DrawingFailed
from generator.recipes import prompt
from generator.recipes.prompt import Fragment

log = logging.getLogger(__name__)

# A row of SDXL's embeddings takes 0.3 MiB.
KEPT_TEXTS = 64


@dataclass(frozen=True)
class Conditioning:
    """Embeddings of the negative prompt (row 0) and the prompt (row 1).

    ``embeds`` is (2, tokens, width), tokens a multiple of 77; ``pooled`` is (2, width), or (2, 0) for the family SD.
    ``left_out`` is the text of either prompt that did not fit into the model's tokens.
    """

    embeds: torch.Tensor
    pooled: torch.Tensor
    left_out: tuple[str, ...]

    def to(self, device: torch.device, dtype: torch.dtype) -> "Conditioning":
        return replace(self, embeds=self.embeds.to(device, dtype), pooled=self.pooled.to(device, dtype))


class _CachedEncoder:
    """A text encoder that caches its last result: compel asks for embeddings, then for the same tokens' pooled one.

    Drops a mask that masks nothing, as the pipelines do. Captures its calls as a graph on a card where the UNet's are
    captured, too: forty-four layers take longer to launch than to compute.
    """

    def __init__(self, encoder: Any, graphs: CapturedGraphs) -> None:
        self._encoder, self._graphs = encoder, graphs
        self._last: tuple[list[list[int]], Any] | None = None
        self._replay: Callable[[torch.Tensor], Any] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def __call__(self, token_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **options: Any) -> Any:
        if attention_mask is not None and not attention_mask.all():
            return self._encoder(token_ids, attention_mask, **options)
        asked: list[list[int]] = token_ids.tolist()
        last = self._last
        if last is None or last[0] != asked:
            self._last = last = asked, self._computed(token_ids, {**options, "output_hidden_states": True})
        return last[1]

    def _computed(self, token_ids: torch.Tensor, options: dict[str, Any]) -> Any:
        if not token_ids.is_cuda or not self._graphs.is_on:
            return self._encoder(token_ids, **options)
        if self._replay is None:
            self._replay = self._captured(token_ids, options) or partial(self._encoder, **options)
        # compel asks for one chunk at a time, and all chunks are of the same length.
        return self._replay(token_ids)

    def _captured(self, token_ids: torch.Tensor, options: dict[str, Any]) -> Callable[[torch.Tensor], Any] | None:
        own = token_ids.clone()
        try:
            captured = capture(lambda: _used(self._encoder(own, **options)))
        # Some versions of transformers read values back from the card, which no graph can capture.
        except RuntimeError as error:
            log.warning("a text encoder's calls cannot be captured: %s", error)
            return None
        if captured is None:
            return None
        graph, used = captured

        def replay(token_ids: torch.Tensor) -> Any:
            own.copy_(token_ids)
            graph.replay()
            tensors = {name: tensor.clone() for name, tensor in used.items()}
            return SimpleNamespace(hidden_states=(tensors.pop("penultimate"), None), **tensors)

        return replay


def _used(output: Any) -> dict[str, torch.Tensor]:
    """Pick the tensors of an encoder's output that compel reads."""
    pooled = "text_embeds" if "text_embeds" in output else "pooler_output"
    return {
        "penultimate": output.hidden_states[-2],
        "last_hidden_state": output.last_hidden_state,
        pooled: output[pooled],
    }


class TextEncoding:
    """Encodes prompts for one model, and caches each text: negative prompts and remixes come again and again."""

    def __init__(self, model: Model) -> None:
        self._model = model
        # SDXL reads the last layer but one of both encoders, SD the last layer of its only one.
        hidden = (
            ReturnedEmbeddingsType.PENULTIMATE_HIDDEN_STATES_NON_NORMALIZED
            if model.text_encoder_2
            else ReturnedEmbeddingsType.LAST_HIDDEN_STATES_NORMALIZED
        )
        self._encoders = [
            Compel(
                tokenizer,
                _CachedEncoder(encoder, model.graphs),
                truncate_long_prompts=False,
                returned_embeddings_type=hidden,
            )
            for tokenizer, encoder in zip(model.tokenizers, model.text_encoders, strict=True)
        ]
        self._tokenizers = [partial(_token_ids, tokenizer) for tokenizer in model.tokenizers]
        # A weak reference: otherwise the cache would keep a dropped model in memory.
        encode_row = WeakMethod(self._encode_row)

        @lru_cache(KEPT_TEXTS)
        def kept_row(text: str) -> tuple[torch.Tensor, torch.Tensor, tuple[str, ...]]:
            encode = encode_row()
            assert encode is not None, "only this calls it"
            return encode(text)

        self._kept_row = kept_row
        # Another thread encodes texts ahead; compel and the tokenizers serve one thread at a time.
        self._lock = Lock()

    @torch.inference_mode()
    def encode(self, positive: str, negative: str) -> Conditioning:
        """Encode both prompts, padded to the same length. Raises DrawingFailed for weights that compel cannot apply.

        Without weights the result equals the pipeline's own ``encode_prompt``. An empty negative prompt becomes the
        encoded empty text, or zeros for an SDXL model that was trained so (``force_zeros_for_empty_prompt``).
        """
        embeds, pooled, left_out = self._row(positive)
        if not negative.strip() and self._model.empty_negative_is_zeros:
            negative_embeds, negative_pooled = torch.zeros_like(embeds), torch.zeros_like(pooled)
        else:
            negative_embeds, negative_pooled, left_out_negative = self._row(negative)
            left_out += left_out_negative
        return Conditioning(
            torch.cat(self._same_length(negative_embeds, embeds)), torch.cat([negative_pooled, pooled]), left_out
        )

    def _row(self, text: str) -> tuple[torch.Tensor, torch.Tensor, tuple[str, ...]]:
        """Encode a prompt, or return the cached result. Waits if another thread is encoding it."""
        with self._lock:
            return self._kept_row(text)

    def _encode_row(self, text: str) -> tuple[torch.Tensor, torch.Tensor, tuple[str, ...]]:
        """Encode one text: embeddings, pooled embedding, and the text that was left out."""
        kept, left_out = self._fitted(text)
        return self._encoded(kept), self._pooled(kept), left_out

    def _encoded(self, fragments: Sequence[Fragment]) -> torch.Tensor:
        """Encode fragments to a row of embeddings (1, tokens, width). Raises DrawingFailed."""
        if are_read_alike(fragments, self._tokenizers):
            return self._encoded_chunk(fragments)
        # compel would cut each encoder's tokens by themselves.
        return torch.cat([self._encoded_chunk(chunk) for chunk in chunks(fragments, self._tokenizers)], dim=1)

    def _encoded_chunk(self, fragments: Sequence[Fragment]) -> torch.Tensor:
        texts, weights = [text for text, _ in fragments], [weight for _, weight in fragments]
        providers: list[Any] = [encoder.conditioning_provider for encoder in self._encoders]
        try:
            parts = [
                provider.get_embeddings_for_weighted_prompt_fragments([texts], [weights], device=provider.device)
                for provider in providers
            ]
        except RuntimeError as error:
            # compel looks for each weighted text among the tokens and gives up on a few odd ones.
            if "token sequence" not in str(error):
                raise
            raise DrawingFailed("bad_weights", "I can't use those weights on those words.") from error
        return torch.cat(parts, dim=-1)

    def _pooled(self, fragments: Sequence[Fragment]) -> torch.Tensor:
        """Return the second encoder's pooled embedding (1, width) of the text without weights, which it does not know.

        Without a second encoder the width is 0.
        """
        provider: Any = self._encoders[-1].conditioning_provider
        if not self._model.text_encoder_2:
            return torch.empty(1, 0, dtype=provider.empty_z.dtype, device=provider.device)
        pooled: torch.Tensor = provider.get_pooled_embeddings([" ".join(text for text, _ in fragments)])
        return pooled

    def _same_length(self, *rows: torch.Tensor) -> list[torch.Tensor]:
        with self._lock:
            empty = torch.cat([encoder.conditioning_provider.empty_z for encoder in self._encoders], dim=-1)
        length = max(row.shape[1] for row in rows)
        return [torch.cat([row, empty.repeat(1, (length - row.shape[1]) // empty.shape[1], 1)], dim=1) for row in rows]

    def _fitted(self, text: str) -> tuple[tuple[Fragment, ...], tuple[str, ...]]:
        """Cut fragments to the model card's tokens, between two terms; return the rest as the text that is left out."""
        fragments = prompt.parse(text)
        kept: list[Fragment] = []
        tokenizers = self._model.tokenizers
        rooms = [self._model.card.limits.max_tokens] * len(tokenizers)
        for n, (words, weight) in enumerate(fragments):
            offsets = [
                tokenizer(words, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
                for tokenizer in tokenizers
            ]
            ends = [own[room][0] for own, room in zip(offsets, rooms, strict=True) if len(own) > room]
            if ends:
                cut = _last_gap(words, min(ends), otherwise=0 if kept else min(ends))
                if words[:cut].strip():
                    kept.append((words[:cut], weight))
                rest = ", ".join([words[cut:], *(later for later, _ in fragments[n + 1 :])])
                return tuple(kept), (re.sub(r"[\s,]*,[\s,]*", ", ", rest).strip(" ,"),)
            # compel cannot weaken a fragment without tokens.
            if offsets[0]:
                kept.append((words, weight))
            rooms = [room - len(own) for own, room in zip(offsets, rooms, strict=True)]
        return tuple(kept) or (("", 1.0),), ()


def _token_ids(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False).input_ids
    return ids


def _last_gap(words: str, end: int, *, otherwise: int) -> int:
    """Find where to cut ``words[:end]``: at its last comma, else at its last space, else ``otherwise``."""
    for gap in (",", " "):
        if gap in words[:end]:
            return words.rindex(gap, 0, end)
    return otherwise
