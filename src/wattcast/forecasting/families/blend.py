"""The blend: the plain mean of families, whose heads are their heads merged. It is made of trained bundles and learns nothing itself."""

from __future__ import annotations


class Blend:
    """Mean of the families that were trained for the same task."""

    key = "blend"
    title = "Blend of the families"
    file_stem = "Blend"
