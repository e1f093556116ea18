-- A row is one thing that a profile said of one call; of the same profile on the same call the newest counts.
CREATE TABLE core.feedback (
    profile_id VARCHAR NOT NULL,
    call_id VARCHAR NOT NULL,
    verdict VARCHAR NOT NULL,      -- relevant, not-for-us; cleared: what was said before is withdrawn
    why VARCHAR,
    given_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (profile_id, call_id, given_at)
);
INSERT INTO core.feedback
SELECT DISTINCT ON (profile_id, call_id, given_at) * FROM (FROM stage_feedback UNION ALL FROM prev.core.feedback)
ORDER BY profile_id, call_id, given_at, verdict, why;
