-- States of a profile are 1 to n, and the latest run used one of them.
SELECT id || ': states are not 1 to n, or two were used at once' AS why FROM core.profile_versions
GROUP BY id
HAVING min(version) <> 1 OR max(version) <> count(*) OR count(DISTINCT version) <> count(*)
    OR count(*) FILTER (last_run_id = (SELECT run_id FROM mart.latest_run)) > 1;
