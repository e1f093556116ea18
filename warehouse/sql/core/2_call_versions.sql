-- A row is one state of a call, with all that it then said. A new one begins when content or status changed, or when the
-- call came back; where and in which words it was read are those of the first reading in this state.
CREATE TABLE core.call_versions AS
SELECT
    CAST(NULL AS INTEGER) AS version,      -- 1 is the call's first
    CAST(NULL AS VARCHAR) AS run_id,       -- the run that first had it so
    CAST(NULL AS DATE) AS valid_from,      -- that run's day
    CAST(NULL AS VARCHAR) AS last_run_id,  -- the last run that had it so; runs between had it so, too
    CAST(NULL AS VARCHAR) AS next_run_id,  -- the run that had it otherwise
    CAST(NULL AS DATE) AS valid_to,        -- that run's day; NULL: the last state known
    CAST(NULL AS VARCHAR[]) AS changed,    -- fields that differ from the version before; in_latest_run: it came back; NULL: not known
    CAST(NULL AS DATE[]) AS seen_on,       -- days on which it was read so
    * EXCLUDE (first_seen_on, last_seen_on, in_latest_run)
FROM core.calls
WITH NO DATA;
INSERT INTO core.call_versions
WITH told AS (
    SELECT s.call_id, s.content_sha256, s.status, s.last_seen_on, r.run_id, r.as_of
    FROM stage_calls AS s CROSS JOIN stage_runs AS r
), before AS (
    SELECT run_id FROM prev.core.runs ORDER BY started_at DESC, run_id DESC LIMIT 1
)
SELECT
    p.* REPLACE (
        CASE WHEN t.same THEN t.run_id ELSE p.last_run_id END AS last_run_id,
        CASE WHEN NOT t.same THEN t.run_id ELSE p.next_run_id END AS next_run_id,
        CASE WHEN NOT t.same THEN t.as_of ELSE p.valid_to END AS valid_to,
        CASE WHEN t.same AND NOT list_contains(p.seen_on, t.last_seen_on) THEN list_append(p.seen_on, t.last_seen_on)
             ELSE p.seen_on END AS seen_on
    )
FROM prev.core.call_versions AS p
LEFT JOIN (
    SELECT t.*, l.version,
        t.content_sha256 = l.content_sha256 AND t.status = l.status AND l.last_run_id = (FROM before) AS same
    FROM told AS t JOIN prev.core.call_versions AS l ON l.call_id = t.call_id AND l.next_run_id IS NULL
) AS t ON t.call_id = p.call_id AND t.version = p.version;
INSERT INTO core.call_versions
WITH run AS (SELECT run_id, as_of FROM stage_runs),
fresh AS ( -- calls that begin a state with this run
    SELECT call_id FROM stage_calls
    ANTI JOIN (SELECT call_id FROM core.call_versions SEMI JOIN run ON last_run_id = run.run_id) USING (call_id)
), before AS (
    SELECT v.* FROM prev.core.call_versions AS v SEMI JOIN fresh USING (call_id) WHERE v.next_run_id IS NULL
), said AS ( -- content alone, as warehouse/build.py has it, too
    SELECT call_id, version, to_json(c) AS content FROM (
        SELECT
            * EXCLUDE (version, status_note, checked_on, fetched_at, page_sha256, archive_record, printed)
            REPLACE (
                list_transform(deadlines, lambda d: {'at': d."at", 'kind': d.kind, 'opens_on': d.opens_on}) AS deadlines,
                list_transform(documents, lambda d: {'id': d.document_id, 'role': d.role, 'url': d.url}) AS documents
            ),
            version
        FROM (
            SELECT version, * EXCLUDE (
                version, run_id, valid_from, last_run_id, next_run_id, valid_to, changed, seen_on, content_sha256
            ) FROM before
            UNION ALL BY NAME
            SELECT * EXCLUDE (content_sha256, first_seen_on, last_seen_on, in_latest_run)
            FROM stage_calls SEMI JOIN before USING (call_id)
        )
    ) AS c
), pair AS (
    SELECT n.call_id, list_filter(
        json_keys(n.content),
        lambda k: k <> 'version' AND json_extract(n.content, '$.' || k) IS DISTINCT FROM json_extract(o.content, '$.' || k)
    ) AS changed
    FROM said AS n JOIN said AS o ON o.call_id = n.call_id AND o.version IS NOT NULL
    WHERE n.version IS NULL
)
SELECT
    coalesce(b.version, 0) + 1, run.run_id, run.as_of, run.run_id, NULL, NULL,
    CASE
        WHEN b.version IS NULL THEN []
        WHEN b.last_run_id = (SELECT run_id FROM prev.core.runs ORDER BY started_at DESC, run_id DESC LIMIT 1)
        THEN pair.changed
        ELSE list_append(pair.changed, 'in_latest_run')
    END,
    [s.last_seen_on],
    s.* EXCLUDE (first_seen_on, last_seen_on, in_latest_run)
FROM stage_calls AS s SEMI JOIN fresh USING (call_id)
CROSS JOIN run
LEFT JOIN before AS b USING (call_id)
LEFT JOIN pair USING (call_id)
ORDER BY s.call_id;
