"""Telemetry from CSV and Parquet files: streamed, limited, with every defect noted."""

from connectors.files.delivery import Delivery
from connectors.files.source import FileSource

__all__ = ["Delivery", "FileSource"]
