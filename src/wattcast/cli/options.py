"""What the commands' options mean to the rest: settings with the options over them, and params of the project or of the package."""

# ruff: noqa: PLC0415 (a command loads what it needs when it runs)

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from wattcast.config import Params, Settings

Store = Annotated[Path | None, typer.Option(help="Folder of the model store.", show_default="WATTCAST_STORE, else store")]


def settings_of(**options: Any) -> Settings:
    """The settings of the environment, with the options that were given over them."""
    from wattcast.config import load_settings

    return load_settings().model_copy(update={name: value for name, value in options.items() if value is not None})


def params_here() -> Params:
    """The params of the project in this folder, else those that the package came with."""
    import wattcast
    from wattcast.config import load_params

    here = Path("params.yaml")
    return load_params(here) if here.exists() else wattcast.shipped_params()
