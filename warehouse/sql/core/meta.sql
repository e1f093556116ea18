-- One row: the version of this schema.
CREATE TABLE core.meta (
    schema_version INTEGER NOT NULL -- 1 was the first
);
INSERT INTO core.meta VALUES (5);
