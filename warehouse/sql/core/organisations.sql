-- A row is one organisation of a public catalogue, from the catalogue's latest good reading.
CREATE TABLE core.organisations (
    org_id VARCHAR PRIMARY KEY,    -- "<source>:<the source's own key>"
    source VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    title VARCHAR,
    kind VARCHAR,                  -- as printed
    country VARCHAR,               -- as printed
    place VARCHAR,
    website VARCHAR,
    description VARCHAR,
    sectors VARCHAR[] NOT NULL,
    services VARCHAR[] NOT NULL,
    technologies VARCHAR[] NOT NULL,
    page STRUCT(url VARCHAR, fetched_at TIMESTAMPTZ, sha256 VARCHAR, archive_record VARCHAR) NOT NULL
);
INSERT INTO core.organisations SELECT * FROM stage_organisations ORDER BY org_id;
