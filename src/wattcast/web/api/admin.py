"""What those who look after a service tell it."""

from __future__ import annotations

from wattcast.web.api.answers.models import Refreshed
from wattcast.web.api.operations import operation
from wattcast.web.security.guard import all_is_told
from wattcast.web.site import site
from wattcast.web.watch import look


@operation("POST", "/admin/refresh", Refreshed, scope="admin")
def refresh() -> Refreshed:
    """Look for newly published models now.

    The process that answers does so at once, the other workers of a service at their next look (WATTCAST_POLL). What does not serve, and
    why, is told to a key for all meters alone.
    """
    current = site().current
    swapped = look(current, at_once=True)
    told = all_is_told()
    held_back, fault = (dict(current.service.held_back), current.fault) if told else ({}, "")
    return Refreshed(current.service.manifest.serial, swapped, held_back, fault)
