-- The verdict follows from the rules: one that fails fails all, and only if all pass is it a pass.
SELECT profile_id || ' ~ ' || call_id || ': ' || eligibility.verdict || ', which its rules do not give' AS why
FROM (SELECT *, list_transform(eligibility.rules, lambda r: r.verdict) AS given FROM core.matches)
WHERE eligibility.verdict IS DISTINCT FROM CASE
    WHEN list_contains(given, 'fail') THEN 'fail'
    WHEN list_contains(given, 'unknown') OR len(given) = 0 THEN 'unknown'
    ELSE 'pass' END;
