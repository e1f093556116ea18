-- A row is one state of a profile, as runs used it.
CREATE TABLE core.profile_versions (
    version INTEGER NOT NULL,      -- 1 is the profile's first
    run_id VARCHAR NOT NULL,       -- the run that first used it so
    last_run_id VARCHAR NOT NULL,  -- the last run that used it so; runs between used it so, too
    id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,         -- sme, large_company, fieldlab, hub, testbed, research_organisation, public_body, ngo
    language VARCHAR NOT NULL,     -- of the texts and of the digest: nl, en
    label VARCHAR NOT NULL,        -- example, to be confirmed, confirmed
    country VARCHAR NOT NULL,
    nuts VARCHAR[] NOT NULL,
    place VARCHAR,
    employees INTEGER,
    pic VARCHAR,                   -- its code as an EU participant: org_id of core.participants
    designated_hub BOOLEAN,        -- whether it is a designated European Digital Innovation Hub
    trl INTEGER,                   -- readiness today of what it seeks money for
    project_costs_eur DOUBLE,      -- of the project it has in mind
    partners INTEGER,              -- that are ready to join, itself not counted
    partner_countries VARCHAR[] NOT NULL, -- ISO 3166, of those partners
    description VARCHAR NOT NULL,
    offers VARCHAR[] NOT NULL,
    seeks VARCHAR[] NOT NULL,
    themes VARCHAR[] NOT NULL,
    website VARCHAR,
    sources VARCHAR[] NOT NULL
);
INSERT INTO core.profile_versions
WITH before AS (SELECT run_id FROM prev.core.runs ORDER BY started_at DESC, run_id DESC LIMIT 1),
same AS (
    FROM stage_profile_versions
    INTERSECT
    SELECT * EXCLUDE (version, run_id, last_run_id) FROM prev.core.profile_versions SEMI JOIN before ON last_run_id = before.run_id
)
SELECT p.* REPLACE (
    CASE WHEN p.last_run_id = before.run_id AND s.id IS NOT NULL THEN r.run_id ELSE p.last_run_id END AS last_run_id
)
FROM prev.core.profile_versions AS p LEFT JOIN before ON true LEFT JOIN stage_runs AS r ON true LEFT JOIN same AS s ON s.id = p.id;
INSERT INTO core.profile_versions
SELECT coalesce(v.version, 0) + 1, r.run_id, r.run_id, s.*
FROM stage_profile_versions AS s CROSS JOIN stage_runs AS r
LEFT JOIN (SELECT id, max(version) AS version FROM prev.core.profile_versions GROUP BY id) AS v USING (id)
ANTI JOIN core.profile_versions AS same ON same.id = s.id AND same.last_run_id = r.run_id
ORDER BY s.id;
