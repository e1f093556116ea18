"""DuckDB: SQL files, write, publish, read."""
