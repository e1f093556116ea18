-- A row is one state of a call's content; a new one is added only when something but provenance or status changed.
CREATE TABLE core.call_versions (
    call_id VARCHAR NOT NULL,
    version INTEGER,               -- 1 is the first
    run_id VARCHAR NOT NULL,       -- the run that first saw it so
    valid_from DATE NOT NULL,      -- that run's day
    content_sha256 VARCHAR NOT NULL,
    changed VARCHAR[],             -- fields that differ from the version before
    record JSON NOT NULL,          -- the whole call
    UNIQUE (call_id, version)
);
INSERT INTO core.call_versions
WITH latest AS (
    SELECT * FROM prev.core.call_versions
    QUALIFY row_number() OVER (PARTITION BY call_id ORDER BY version DESC) = 1
), fresh AS (
    SELECT s.* REPLACE (
        coalesce(l.version, 0) + 1 AS version,
        CASE WHEN l.record IS NULL THEN [] ELSE list_filter(
            json_keys(s.record),
            lambda k: k NOT IN ('status', 'status_note', 'fetched_at', 'page_sha256', 'archive_record', 'printed',
                             'checked_on')
                AND CASE k
                    WHEN 'deadlines' THEN json_extract(s.record, '$.deadlines[*].at')
                        IS DISTINCT FROM json_extract(l.record, '$.deadlines[*].at')
                        OR json_extract(s.record, '$.deadlines[*].kind')
                        IS DISTINCT FROM json_extract(l.record, '$.deadlines[*].kind')
                    WHEN 'documents' THEN json_extract(s.record, '$.documents[*].document_id')
                        IS DISTINCT FROM json_extract(l.record, '$.documents[*].document_id')
                    ELSE json_extract(s.record, '$.' || k) IS DISTINCT FROM json_extract(l.record, '$.' || k)
                END
        ) END AS changed
    )
    FROM stage_call_versions AS s LEFT JOIN latest AS l USING (call_id)
    WHERE l.content_sha256 IS DISTINCT FROM s.content_sha256
)
SELECT * FROM (FROM prev.core.call_versions UNION ALL FROM fresh) ORDER BY call_id, version;
