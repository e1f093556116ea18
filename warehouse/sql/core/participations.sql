-- A row is one organisation's part in one project; an import replaces all parts in the projects that it holds.
CREATE TABLE core.participations (
    project_id VARCHAR NOT NULL,
    org_id VARCHAR NOT NULL,
    role VARCHAR,                  -- coordinator, participant, associatedPartner, thirdParty
    eur DOUBLE,                    -- the EU's contribution to it
    PRIMARY KEY (project_id, org_id)
);
INSERT INTO core.participations
SELECT * FROM (
    FROM stage_participations
    UNION ALL
    FROM prev.core.participations AS p ANTI JOIN stage_projects USING (project_id)
) ORDER BY project_id, org_id;
