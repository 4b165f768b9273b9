"""The two kinds of settings, never mixed: `Params` (params.yaml: science, versioned, ends in the bundle) and `Settings` (environment)."""

from wattcast.config.files import load_params
from wattcast.config.params import MeterFacts, Params
from wattcast.config.settings import Settings, load_settings
from wattcast.config.words import meter_id_of, nearest

__all__ = ["MeterFacts", "Params", "Settings", "load_params", "load_settings", "meter_id_of", "nearest"]
