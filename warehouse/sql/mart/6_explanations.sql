-- A row is one piece of why a match of the latest run is as it is: a reason, a pair of sentences, or a rule.
CREATE VIEW mart.explanations AS
WITH m AS (SELECT * FROM core.matches SEMI JOIN mart.latest_run USING (run_id)), piece AS (
    SELECT profile_id, call_id, 'reason' AS part, generate_subscripts(reasons, 1) AS position, unnest(reasons) AS told, NULL AS e, NULL AS r FROM m
    UNION ALL BY NAME
    SELECT profile_id, call_id, 'evidence' AS part, generate_subscripts(evidence, 1) AS position, unnest(evidence) AS e FROM m
    UNION ALL BY NAME
    SELECT profile_id, call_id, 'rule' AS part, generate_subscripts(eligibility.rules, 1) AS position, unnest(eligibility.rules) AS r FROM m
)
SELECT
    profile_id, call_id,
    part,                                   -- reason, evidence, rule
    position,                               -- 1 is the first of its part
    coalesce(told, e.call_heading, r.rule) AS name, -- the reason, the heading in the call, or the rule
    r.verdict,                              -- pass, fail, unknown
    e.profile_text,                         -- the profile's sentence, of evidence
    coalesce(e.call_text, r.clause) AS call_text, -- the call's sentence, or the clause that decides
    e.weight,                               -- cosine of the two passages
    r.url                                   -- where the clause stands
FROM piece;
