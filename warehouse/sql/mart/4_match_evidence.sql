-- A row is one pair of sentences that a match of the latest run rests on.
CREATE VIEW mart.match_evidence AS
SELECT profile_id, call_id, rank, e.profile_text, e.call_text, e.call_heading, e.weight
FROM (
    SELECT profile_id, call_id, rank, unnest(evidence) AS e FROM core.matches
    WHERE run_id = (SELECT run_id FROM mart.latest_run)
);
