-- A row is one match of one run.
CREATE TABLE core.matches (
    as_of DATE NOT NULL,           -- that run's day
    run_id VARCHAR NOT NULL,       -- the run
    profile_id VARCHAR NOT NULL,
    call_id VARCHAR NOT NULL,
    rank INTEGER NOT NULL,
    score DOUBLE NOT NULL,
    percentile DOUBLE NOT NULL,
    confidence VARCHAR NOT NULL,   -- low, medium, high: how much text the score rests on
    basis VARCHAR NOT NULL,         -- text, or text and history: whether earlier projects counted in the score
    eligibility STRUCT(
        verdict VARCHAR, rules STRUCT(rule VARCHAR, verdict VARCHAR, clause VARCHAR, url VARCHAR)[]
    ) NOT NULL,
    evidence STRUCT(profile_text VARCHAR, call_text VARCHAR, call_heading VARCHAR, weight DOUBLE)[] NOT NULL,
    reasons VARCHAR[] NOT NULL,
    feedback VARCHAR               -- what the profile said of this call: relevant, not-for-us
);
INSERT INTO core.matches FROM prev.core.matches;
INSERT INTO core.matches FROM stage_matches ORDER BY profile_id, rank;
