-- A row is one organisation that takes part in EU projects, as last imported. No persons.
CREATE TABLE core.participants (
    org_id VARCHAR PRIMARY KEY,    -- participant identification code (PIC)
    name VARCHAR NOT NULL,
    country VARCHAR,               -- as CORDIS codes it: EL, UK
    nuts VARCHAR,
    place VARCHAR,
    activity VARCHAR,              -- PRC, HES, REC, PUB, OTH
    sme BOOLEAN
);
INSERT INTO core.participants
SELECT * FROM (
    FROM stage_participants UNION ALL FROM prev.core.participants AS p ANTI JOIN stage_participants USING (org_id)
) ORDER BY org_id;
