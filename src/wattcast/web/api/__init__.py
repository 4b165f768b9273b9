"""/api/v1: forecasts, readings, meters and models for programs, and their description as OpenAPI."""

from wattcast.web.api import accuracy, admin, batches, forecasts, meters, models
from wattcast.web.api.openapi import document
from wattcast.web.api.operations import api
from wattcast.web.api.reference import docs

__all__ = ["accuracy", "admin", "api", "batches", "docs", "document", "forecasts", "meters", "models"]
