-- A row is one thing about one call that differs between the latest run and the last run of a day or of one before it:
-- mart.changes_since(DATE '2026-06-15'). Without such a run there is nothing to compare with, and no row.
CREATE MACRO mart.changes_since(since) AS TABLE
WITH base AS (
    SELECT * FROM core.runs WHERE as_of <= since ORDER BY as_of DESC, started_at DESC, run_id DESC LIMIT 1
), later AS (
    SELECT r.run_id FROM core.runs AS r, base WHERE (r.started_at, r.run_id) > (base.started_at, base.run_id)
), latest AS (
    SELECT run_id, as_of FROM mart.latest_run WHERE EXISTS (FROM later)
), present AS ( -- each call's state now, and whether it is listed
    SELECT v.call_id, v.version, v.valid_from, v.last_run_id = latest.run_id AS listed
    FROM core.call_versions AS v CROSS JOIN latest WHERE v.next_run_id IS NULL
), earlier AS ( -- the same of the base run
    SELECT v.call_id, v.version, v.last_run_id = base.run_id OR v.last_run_id IN (FROM later) AS listed
    FROM core.call_versions AS v CROSS JOIN base
    WHERE v.run_id NOT IN (FROM later) AND (v.next_run_id IS NULL OR v.next_run_id IN (FROM later))
), pair AS (
    SELECT n.call_id, n.version, n.valid_from, n.listed, o.version AS old_version, o.listed AS was_listed
    FROM present AS n LEFT JOIN earlier AS o USING (call_id)
), touched AS ( -- fields that a state since then has otherwise than the one before it; NULL: not known which
    SELECT p.call_id, CASE WHEN count(v.changed) = count(*) THEN list_distinct(flatten(list(v.changed))) END AS fields
    FROM pair AS p JOIN (FROM core.call_versions SEMI JOIN later USING (run_id)) AS v
        ON v.call_id = p.call_id AND v.version > p.old_version
    GROUP BY p.call_id
), both_say AS ( -- in full, where the state is another
    SELECT p.call_id, t.fields, n.valid_from, n.status, n.deadlines, o.deadlines AS old_deadlines, to_json(n) AS now_says, to_json(o) AS said
    FROM pair AS p JOIN touched AS t USING (call_id)
    JOIN (FROM core.call_versions SEMI JOIN later USING (run_id)) AS n USING (call_id, version)
    JOIN (FROM core.call_versions WHERE next_run_id IN (FROM later)) AS o ON o.call_id = p.call_id AND o.version = p.old_version
    WHERE p.old_version < p.version
), differing AS (
    SELECT *, unnest(list_filter(
        coalesce(fields, json_keys(now_says)),
        lambda k: k NOT IN (
            'version', 'run_id', 'valid_from', 'last_run_id', 'next_run_id', 'valid_to', 'changed', 'seen_on', 'in_latest_run',
            'content_sha256', 'status_note', 'checked_on', 'fetched_at', 'page_sha256', 'archive_record', 'printed'
        ) AND CASE k
            WHEN 'deadlines' THEN list_transform(deadlines, lambda d: {'at': d."at", 'kind': d.kind, 'opens_on': d.opens_on})
                IS DISTINCT FROM list_transform(old_deadlines, lambda d: {'at': d."at", 'kind': d.kind, 'opens_on': d.opens_on})
            WHEN 'documents' THEN json_extract(now_says, '$.documents[*].document_id')
                IS DISTINCT FROM json_extract(said, '$.documents[*].document_id')
            ELSE json_extract(now_says, '$.' || k) IS DISTINCT FROM json_extract(said, '$.' || k)
        END
    )) AS field
    FROM both_say
), days AS (
    SELECT *,
        list_transform(deadlines, lambda d: d."at"[:10]) AS ends, list_transform(old_deadlines, lambda d: d."at"[:10]) AS old_ends,
        list_filter(ends, lambda d: NOT list_contains(old_ends, d)) AS added,
        list_filter(old_ends, lambda d: NOT list_contains(ends, d)) AS removed
    FROM differing
), told AS (
    SELECT
        call_id,
        CASE
            WHEN field = 'status' AND status = 'open' THEN 'opened'
            WHEN field = 'status' AND status = 'closed' AND list_max(old_ends) > CAST(valid_from AS VARCHAR) THEN 'closed early'
            WHEN field = 'status' AND status = 'closed' THEN 'closed'
            WHEN field <> 'deadlines' OR len(added) + len(removed) = 0 THEN 'changed'
            WHEN len(removed) = 0 THEN 'deadline stated'
            WHEN len(added) = 0 THEN 'deadline withdrawn'
            WHEN list_min(added) < list_min(removed) THEN 'deadline earlier'
            ELSE 'deadline later'
        END AS change,
        field,
        CASE field WHEN 'deadlines' THEN list_aggregate(old_ends, 'string_agg', ', ') WHEN 'sections' THEN NULL
             ELSE left(json_extract_string(said, '$.' || field), 300) END AS "before",
        CASE field WHEN 'deadlines' THEN list_aggregate(ends, 'string_agg', ', ') WHEN 'sections' THEN NULL
             ELSE left(json_extract_string(now_says, '$.' || field), 300) END AS "after",
        valid_from AS on_date
    FROM days
    UNION ALL
    SELECT
        call_id,
        CASE WHEN old_version IS NULL THEN 'new' WHEN listed THEN 'listed again' ELSE 'not listed' END,
        NULL, NULL, NULL, CASE WHEN listed THEN valid_from ELSE (SELECT as_of FROM latest) END
    FROM pair WHERE listed AND old_version IS NULL OR listed <> was_listed
)
SELECT
    t.change,    -- new, opened, closed, closed early, deadline earlier, deadline later, deadline stated,
                 -- deadline withdrawn, changed, not listed, listed again
    c.title, c.status,
    t.field,     -- of core.calls, that says something else; NULL: the whole call came, went or came back
    t."before",  -- what it said, at most 300 characters, days of deadlines; NULL: nothing, or it is a long text
    t."after",   -- what it says now, likewise
    t.on_date,   -- day of the run that first had it so
    c.programme, c.level, c.identifier, c.url, t.call_id
FROM told AS t JOIN core.calls AS c USING (call_id)
ORDER BY
    list_position(['deadline earlier', 'closed early', 'deadline withdrawn', 'not listed', 'new', 'opened', 'deadline stated',
        'deadline later', 'listed again', 'closed', 'changed'], t.change),
    t.call_id, t.field;
