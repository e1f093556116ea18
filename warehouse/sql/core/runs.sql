-- A row is one run: when, for which day, with which model, how long each stage took.
CREATE TABLE core.runs (
    run_id VARCHAR PRIMARY KEY,
    as_of DATE NOT NULL,
    mode VARCHAR NOT NULL,         -- live: read from the sites; replay: from stored pages
    started_at TIMESTAMPTZ NOT NULL,
    model VARCHAR NOT NULL,
    stages STRUCT(name VARCHAR, seconds DOUBLE, items BIGINT)[] NOT NULL,
    peak_memory_mib DOUBLE,
    -- what it came to, by name: sources_read, sources_broken, sources_partial, records, pages, calls, calls_open,
    -- calls_unknown, profiles, matches, texts_encoded, errors, warnings, tries (processes that worked on it)
    counters MAP(VARCHAR, BIGINT)
);
INSERT INTO core.runs SELECT * FROM (FROM prev.core.runs UNION ALL FROM stage_runs) ORDER BY started_at, run_id;
