-- A row is one project that has a number, the first where it is stated twice.
SELECT project AS project_id, title, objective, topic, "action", day(signed) AS signed_on FROM printed_projects
WHERE rowid IN (SELECT min(rowid) FROM printed_projects WHERE project IS NOT NULL GROUP BY project);
