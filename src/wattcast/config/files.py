"""params.yaml as `Params`: read once, every fault in the words of the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from wattcast.config.params import Params
from wattcast.config.words import nearest
from wattcast.errors import BadParams, LeakingSpec


class _KeysOnce(yaml.SafeLoader):
    """YAML in which no key stands twice in one place. Raises BadParams."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                raise BadParams(f'line {key.start_mark.line + 1}: key "{key.value}" stands there a second time', "keep one of the two")
            seen.add(str(key.value))
        return node


def load_params(path: Path = Path("params.yaml")) -> Params:
    """The params in this file. Raises BadParams naming the key, what is wrong with it and the nearest known name."""
    try:
        return Params.model_validate(_KeysOnce(path.read_text(encoding="utf-8")).get_single_data())
    except OSError as cause:
        raise BadParams(f"{path} cannot be read: {cause.strerror}", "run wattcast in the project's folder") from cause
    except (yaml.YAMLError, UnicodeDecodeError) as cause:
        raise BadParams(f"{path} is not YAML: {' '.join(str(cause).split())}", "mend the line it names") from cause
    except (BadParams, LeakingSpec) as cause:
        raise BadParams(f"{path}: {cause.message}", cause.hint) from cause
    except ValidationError as cause:
        raise BadParams(f"{path}: {_first_fault(cause)}", "mend params.yaml; docs/data.md explains its keys") from cause


def _first_fault(cause: ValidationError) -> str:
    fault = cause.errors()[0]
    where = ".".join(str(part) for part in fault["loc"])
    if fault["type"] not in ("extra_forbidden", "unexpected_keyword_argument"):
        said = fault["msg"].removeprefix("Value error, ")
        return f"{where}: {said}" if where else said
    siblings = _known_keys(fault["loc"][:-1])
    return f"unknown key {where}{nearest(str(fault['loc'][-1]), siblings)}"


def _known_keys(path: tuple[str | int, ...]) -> list[str]:
    """The keys that params.yaml may have at this place, from the schema."""
    schema = Params.model_json_schema()
    here: Any = schema
    for part in path:
        here = _resolved(here, schema)
        if isinstance(part, int):
            here = here.get("items", {})
        else:
            here = here.get("properties", {}).get(part, here.get("additionalProperties", {}))
    return list(_resolved(here, schema).get("properties", {}))


def _resolved(here: Any, schema: Any) -> Any:
    return schema["$defs"][here["$ref"].rsplit("/", 1)[-1]] if isinstance(here, dict) and "$ref" in here else here
