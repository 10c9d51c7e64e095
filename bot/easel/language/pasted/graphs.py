"""ComfyUI's graphs, as its PNGs and its API have them, as the settings that other programs write."""

from collections.abc import Mapping
from typing import Any

# Of all nodes.
_SETTINGS = (
    "seed",
    "noise_seed",
    "steps",
    "cfg",
    "sampler_name",
    "scheduler",
    "denoise",
    "width",
    "height",
    "ckpt_name",
    "unet_name",
    "lora_name",
)
_SPELLED = {"noise_seed": "seed", "unet_name": "model"}
# What a node's text may be called, and what leads to a node that has it.
_TEXTS = ("text", "text_g", "prompt", "string", "value")
_WAYS = ("conditioning", "conditioning_1", "positive")


def settings_of_graph(value: Any) -> dict[str, Any] | None:
    """The prompts and settings of a graph's first sampler, or None if the value is no graph with one."""
    if not isinstance(value, Mapping):
        return None
    if isinstance(queued := value.get("prompt"), Mapping):
        value = queued
    nodes = {key: node["inputs"] for key, node in value.items() if isinstance(node, Mapping) and _is_node(node)}
    sampler = next((inputs for inputs in nodes.values() if {"positive", "negative"} <= inputs.keys()), None)
    if sampler is None:
        return None
    texts = {"prompt": _text(sampler["positive"], nodes), "negative_prompt": _text(sampler["negative"], nodes)}
    found: dict[str, Any] = {name: text for name, text in texts.items() if text}
    for inputs in (sampler, *nodes.values()):
        for name in _SETTINGS:
            if isinstance(setting := inputs.get(name), str):
                found.setdefault(_SPELLED.get(name, name), setting)
    if found.get("denoise") in ("1", "1.0"):
        del found["denoise"]
    return found


def _is_node(node: Mapping[str, Any]) -> bool:
    return "class_type" in node and isinstance(node.get("inputs"), Mapping)


def _text(link: Any, nodes: Mapping[str, Mapping[str, Any]]) -> str:
    """The first text that a link, ``[node, output]``, leads to; "" if there is none. Each node is looked at once."""
    ahead, seen = [link], set[str]()
    while ahead:
        link = ahead.pop()
        if isinstance(link, str) and link.strip():
            return link
        key = link[0] if isinstance(link, list) and link and isinstance(link[0], str) else ""
        if key in nodes and key not in seen:
            seen.add(key)
            ahead += [nodes[key][name] for name in reversed(_TEXTS + _WAYS) if name in nodes[key]]
    return ""
