-- Printed cells → typed ones; NULL is unknown. `words` makes cells clean, which the others rely on.
CREATE TEMP MACRO words(cell) AS
    nullif(regexp_replace(CAST(cell AS VARCHAR), '^[\s\x0b\x{85}\p{Z}]+|[\s\x0b\x{85}\p{Z}]+$', '', 'g'), '');
CREATE TEMP MACRO day(cell) AS
    CASE WHEN regexp_matches(cell, '^\d{4}-\d\d-\d\d\b') THEN TRY_CAST(cell[:10] AS DATE) END;
CREATE TEMP MACRO amount(cell) AS
    CASE WHEN regexp_full_match(cell, '\d+([.,]\d+)?([eE][+-]?\d+)?')
         THEN TRY_CAST(replace(cell, ',', '.') AS DOUBLE) END;
CREATE TEMP MACRO truth(cell) AS CASE lower(cell) WHEN 'true' THEN true WHEN 'false' THEN false END;
