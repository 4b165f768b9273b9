"""The one use case that web, batch and command line share: a forecast for a meter, from the best tier that can give one."""

from wattcast.serving.current import Current
from wattcast.serving.many import Each, from_each
from wattcast.serving.service import Ask, ForecastService

__all__ = ["Ask", "Each", "Current", "ForecastService", "from_each"]
