-- A row is how one source did in one run.
CREATE TABLE core.source_health (
    run_id VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    level VARCHAR NOT NULL,
    state VARCHAR NOT NULL,        -- ok; kept: not read in this run; broken; the last two show the last good records
    records INTEGER NOT NULL,
    last_good_at TIMESTAMPTZ,
    detail VARCHAR,
    PRIMARY KEY (run_id, source)
);
INSERT INTO core.source_health
SELECT * FROM (FROM prev.core.source_health UNION ALL FROM stage_source_health) ORDER BY run_id, source;
