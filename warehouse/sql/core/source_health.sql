-- A row is how one source did in one run.
CREATE TABLE core.source_health (
    run_id VARCHAR NOT NULL,       -- the run
    source VARCHAR NOT NULL,
    level VARCHAR NOT NULL,        -- of its calls: national, regional, interregional, european
    state VARCHAR NOT NULL,        -- ok; partial: what was not reached is as last read; kept: not asked for; broken
    records INTEGER NOT NULL,
    stale INTEGER NOT NULL,        -- records in use that were last checked too long ago
    last_good_at TIMESTAMPTZ,
    detail VARCHAR,
    PRIMARY KEY (run_id, source)
);
INSERT INTO core.source_health
SELECT * FROM (FROM prev.core.source_health UNION ALL FROM stage_source_health) ORDER BY run_id, source;
