"""The stand-in: a test model that draws noise of any size through the code that loads and runs SSD-1B.

Only its card is here, so that importing it does not import torch.
"""

from pathlib import Path
from typing import Any

from generator.models.cards import CardSettings

NAME = "stand-in"


def stand_in_card(folder: Path = Path("/nowhere")) -> CardSettings:
    """The card for the weights in ``folder``. Engines without weights need no folder."""
    return CardSettings.model_validate(
        {
            "family": "sdxl",
            "folder": folder,
            "sizes": {"square": (256, 256), "portrait": (224, 288), "landscape": (288, 224)},
            "defaults": {"steps": 10, "guidance_scale": 12.0, "negative_prompt": "ugly, poor quality"},
            "limits": {"min_side": 64, "max_side": 1024},
        }
    )


def stand_in_settings(folder: Path) -> dict[str, Any]:
    """Settings of a generator that draws with the stand-in, as a settings file has them."""
    card = stand_in_card(folder).model_dump(mode="json", exclude_unset=True)
    return {"default_model": NAME, "models": {NAME: card}}
