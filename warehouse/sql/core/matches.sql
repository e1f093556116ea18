-- A row is one match of one day; a second run for the same day replaces that day's.
CREATE TABLE core.matches (
    as_of DATE NOT NULL,
    run_id VARCHAR NOT NULL,
    profile_id VARCHAR NOT NULL,
    call_id VARCHAR NOT NULL,
    rank INTEGER NOT NULL,
    score DOUBLE NOT NULL,
    percentile DOUBLE NOT NULL,
    confidence VARCHAR NOT NULL,
    basis VARCHAR NOT NULL,         -- text, or text and history: whether earlier projects counted in the score
    eligibility STRUCT(
        verdict VARCHAR, rules STRUCT(rule VARCHAR, verdict VARCHAR, clause VARCHAR, url VARCHAR)[]
    ) NOT NULL,
    evidence STRUCT(profile_text VARCHAR, call_text VARCHAR, call_heading VARCHAR, weight DOUBLE)[] NOT NULL,
    reasons VARCHAR[] NOT NULL,
    feedback VARCHAR,              -- what the profile said of this call: relevant, not-for-us
    PRIMARY KEY (as_of, profile_id, call_id)
);
INSERT INTO core.matches
SELECT * FROM (
    FROM prev.core.matches WHERE as_of NOT IN (SELECT as_of FROM stage_runs)
    UNION ALL
    FROM stage_matches
) ORDER BY as_of, profile_id, rank;
