-- A row is a match of the latest run, with the names an adviser looks for.
CREATE VIEW mart.matches AS
WITH run AS (FROM mart.latest_run)
SELECT
    m.profile_id,
    p.name AS profile,                     -- its name
    m.rank, m.score, m.percentile, m.confidence, m.basis, m.feedback,
    m.eligibility.verdict AS verdict,      -- fail: a rule fails; pass: all pass; else unknown
    c.title, c.identifier, c.programme, c.level, o.next_deadline, o.days_left,
    c.grant_min_eur, c.grant_max_eur, c.budget_total_eur,
    m.reasons[1] AS reason,                -- the first one; all are in mart.explanations
    m.evidence[1].profile_text AS profile_text, -- the profile's sentence that is nearest to the call
    m.evidence[1].call_text AS call_text,  -- the call's sentence that it is nearest to
    c.url, m.call_id
FROM core.matches AS m
JOIN run USING (as_of, run_id)
JOIN core.profiles AS p ON p.id = m.profile_id
JOIN core.calls AS c USING (call_id)
LEFT JOIN mart.open_calls AS o USING (call_id);
