-- A row is one fault or oddity of one run.
CREATE TABLE core.issues (
    run_id VARCHAR NOT NULL,       -- the run
    source VARCHAR NOT NULL,
    severity VARCHAR NOT NULL,     -- info, warning, error
    code VARCHAR NOT NULL,
    detail VARCHAR NOT NULL,
    key VARCHAR                    -- the record it concerns
);
INSERT INTO core.issues
SELECT * FROM (FROM prev.core.issues UNION ALL FROM stage_issues) ORDER BY run_id, source, severity, code, key, detail;
