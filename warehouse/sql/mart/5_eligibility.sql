-- A row is one rule applied to one match of the latest run, with the clause that decides it.
CREATE VIEW mart.eligibility AS
SELECT
    profile_id, call_id,
    r.rule,                                -- time, applicant, region, consortium, budget, readiness
    r.verdict,                             -- pass, fail, unknown
    r.clause,                              -- the source's words that decide it; NULL: none does
    r.url                                  -- where they stand
FROM (
    SELECT profile_id, call_id, unnest(eligibility.rules) AS r FROM core.matches
    WHERE run_id = (SELECT run_id FROM mart.latest_run)
);
