-- A row is one profile as the latest run used it.
CREATE TABLE core.profiles (
    id VARCHAR PRIMARY KEY,
    name VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    language VARCHAR NOT NULL,
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
    partner_countries VARCHAR[] NOT NULL,
    description VARCHAR NOT NULL,
    offers VARCHAR[] NOT NULL,
    seeks VARCHAR[] NOT NULL,
    themes VARCHAR[] NOT NULL,
    website VARCHAR,
    sources VARCHAR[] NOT NULL
);
INSERT INTO core.profiles SELECT * FROM stage_profiles ORDER BY id;
