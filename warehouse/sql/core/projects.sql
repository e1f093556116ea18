-- A row is one project that an EU programme funded, as last imported.
CREATE TABLE core.projects (
    project_id VARCHAR PRIMARY KEY, -- number of the grant agreement
    title VARCHAR,
    objective VARCHAR,
    topic VARCHAR,                 -- identifier of the topic that it was funded under
    "action" VARCHAR,              -- code of the type of action
    signed_on DATE
);
INSERT INTO core.projects
FROM stage_projects UNION ALL FROM prev.core.projects AS p ANTI JOIN stage_projects USING (project_id);
