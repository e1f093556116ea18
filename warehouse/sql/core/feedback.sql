-- A row is what one profile last said of one call.
CREATE TABLE core.feedback (
    profile_id VARCHAR NOT NULL,
    call_id VARCHAR NOT NULL,
    verdict VARCHAR NOT NULL,
    why VARCHAR,
    given_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (profile_id, call_id)
);
INSERT INTO core.feedback
SELECT DISTINCT ON (profile_id, call_id) * FROM (FROM stage_feedback UNION ALL FROM prev.core.feedback)
ORDER BY profile_id, call_id, given_at DESC, verdict, why;
