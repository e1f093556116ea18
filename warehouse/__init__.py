"""DuckDB: SQL files, write, publish, read."""

SCHEMA_VERSION = 5
