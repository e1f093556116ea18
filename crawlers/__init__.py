"""The web → raw records, as printed, with provenance."""
