-- A row is one pair of sentences that a match of the latest run rests on.
CREATE VIEW mart.match_evidence AS
SELECT
    profile_id, call_id,
    rank,                                  -- of the match: 1 is the profile's best
    e.profile_text,                        -- a sentence of the profile, or its earlier project's title
    e.call_text,                           -- what it meets in the call
    e.call_heading,                        -- of the section which that stands in; empty: it has none
    e.weight                               -- cosine of the two passages, or of the project and the call
FROM (
    SELECT profile_id, call_id, rank, unnest(evidence) AS e FROM core.matches
    WHERE run_id = (SELECT run_id FROM mart.latest_run)
);
