"""The site file ``site.yaml``: its models, its checks, and the site that it describes."""

from connectors.settings.facts import Block
from connectors.settings.load import ConnectorBlock, SiteFile, load_site, read_site, site_schema
from connectors.settings.mapping import MappedColumn, SourceMapping

__all__ = [
    "Block",
    "ConnectorBlock",
    "MappedColumn",
    "SiteFile",
    "SourceMapping",
    "load_site",
    "read_site",
    "site_schema",
]
