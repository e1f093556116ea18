-- Every participation joins a known project and a known organisation.
SELECT s.project_id || ' ~ ' || s.org_id || ': unknown project or organisation' AS why
FROM core.participations AS s
LEFT JOIN core.projects AS p USING (project_id)
LEFT JOIN core.participants AS o USING (org_id)
WHERE p.project_id IS NULL OR o.org_id IS NULL;
