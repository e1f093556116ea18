-- A participation of a project or an organisation that is not there is left out.
SELECT coalesce(project, '?') || ' ~ ' || coalesce(org, '?') || ': unknown project or organisation' AS why
FROM printed_participations
WHERE coalesce(project NOT IN (SELECT project_id FROM stage_projects), true)
   OR coalesce(org NOT IN (SELECT org_id FROM stage_participants), true);
