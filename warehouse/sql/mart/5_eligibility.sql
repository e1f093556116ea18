-- A row is one rule applied to one match of the latest run, with the clause that decides it.
CREATE VIEW mart.eligibility AS
SELECT profile_id, call_id, r.rule, r.verdict, r.clause, r.url
FROM (
    SELECT profile_id, call_id, unnest(eligibility.rules) AS r FROM core.matches
    WHERE run_id = (SELECT run_id FROM mart.latest_run)
);
