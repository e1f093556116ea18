-- A row is one organisation's part in one project, both known. Where it is stated twice, what the statements
-- do not agree on is unknown, but one who coordinates is the coordinator.
SELECT
    project AS project_id,
    org AS org_id,
    CASE WHEN bool_or(role = 'coordinator') THEN 'coordinator'
         WHEN count(DISTINCT role) = 1 THEN min(role) END AS role,
    CASE WHEN count(DISTINCT amount(eur)) = 1 THEN min(amount(eur)) END AS eur
FROM printed_participations
WHERE project IN (SELECT project_id FROM stage_projects) AND org IN (SELECT org_id FROM stage_participants)
GROUP BY project, org;
