"""Text forms: YAML with places, readers with faults, canonical JSON, HTML pages."""
