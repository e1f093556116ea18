-- Schema 3 as schema 4 has it. Schema 3 kept neither a call's status in its states nor in which runs it was listed: a state
-- is taken to last until the next, and the status of the last run is a state of its own, of which `changed` is not known.
CREATE VIEW prev.raw.calls AS FROM old.raw.calls;
CREATE VIEW prev.core.runs AS FROM old.core.runs;
CREATE VIEW prev.core.calls AS FROM old.core.calls;
CREATE VIEW prev.core.matches AS FROM old.core.matches;
CREATE VIEW prev.core.feedback AS FROM old.core.feedback;
CREATE VIEW prev.core.issues AS FROM old.core.issues;
CREATE VIEW prev.core.source_health AS FROM old.core.source_health;
CREATE VIEW prev.core.organisations AS FROM old.core.organisations;
CREATE VIEW prev.core.topics AS FROM old.core.topics;
CREATE VIEW prev.core.projects AS FROM old.core.projects;
CREATE VIEW prev.core.participants AS FROM old.core.participants;
CREATE VIEW prev.core.participations AS FROM old.core.participations;
CREATE TABLE prev.core.call_themes (call_id VARCHAR, theme VARCHAR, term VARCHAR); -- the next run names them
CREATE TABLE prev.core.profile_versions AS
WITH latest AS (SELECT run_id FROM old.core.runs ORDER BY started_at DESC, run_id DESC LIMIT 1), used AS (
    SELECT profile_id, arg_min(run_id, started_at) AS run_id
    FROM old.core.matches JOIN old.core.runs USING (run_id) GROUP BY profile_id
)
SELECT 1 AS version, coalesce(used.run_id, latest.run_id) AS run_id, latest.run_id AS last_run_id, p.*
FROM old.core.profiles AS p CROSS JOIN latest LEFT JOIN used ON used.profile_id = p.id;
CREATE TABLE prev.core.call_versions AS
WITH run AS (
    SELECT run_id, as_of, row_number() OVER (ORDER BY started_at, run_id) AS number FROM old.core.runs
), latest AS (
    FROM run ORDER BY number DESC LIMIT 1
), listed AS ( -- the last run that listed each call
    SELECT c.call_id, CASE WHEN c.in_latest_run THEN latest.number ELSE coalesce(max(run.number), 1) END AS number
    FROM old.core.calls AS c CROSS JOIN latest LEFT JOIN run ON run.as_of <= c.last_seen_on
    GROUP BY c.call_id, c.in_latest_run, latest.number
), state AS (
    SELECT
        v.call_id, v.version, v.content_sha256, v.changed, first.number, lead(first.number) OVER w AS next_number,
        CAST(v.record AS STRUCT(
        call_id VARCHAR, source VARCHAR, level VARCHAR, programme VARCHAR, title VARCHAR, url VARCHAR, status
        VARCHAR, status_note VARCHAR, claimed_status VARCHAR, opens_on DATE, deadlines STRUCT("at" VARCHAR,
        printed VARCHAR, kind VARCHAR, opens_on DATE)[], rolling BOOLEAN, until_spent BOOLEAN, allocation
        VARCHAR, budget_total_eur DOUBLE, call_budget_total_eur DOUBLE, remaining_budget_eur DOUBLE,
        expected_grants INTEGER, grant_max_eur DOUBLE, grant_min_eur DOUBLE, eligible_costs_min_eur DOUBLE,
        eligible_costs_max_eur DOUBLE, own_contribution_min_eur DOUBLE, own_contribution_min_rate DOUBLE,
        funding_rate DOUBLE, funding_rate_sme DOUBLE, trl_min INTEGER, trl_max INTEGER, applicants VARCHAR[],
        regions VARCHAR[], consortium STRUCT(min_partners INTEGER, min_countries INTEGER), language VARCHAR,
        kind VARCHAR, identifier VARCHAR, call_identifier VARCHAR, call_title VARCHAR, parent_topic VARCHAR,
        type_of_action VARCHAR, keywords VARCHAR[], sections STRUCT(heading VARCHAR, "text" VARCHAR)[],
        conditions VARCHAR, checked_on DATE, documents STRUCT(document_id VARCHAR, "source" VARCHAR, "role"
        VARCHAR, title VARCHAR, url VARCHAR, issuer VARCHAR, published_on DATE, "references" VARCHAR[],
        fetched_at TIMESTAMP WITH TIME ZONE, page_sha256 VARCHAR, archive_record VARCHAR, printed MAP(VARCHAR,
        VARCHAR))[], contradictions STRUCT(field VARCHAR, claims STRUCT(document_id VARCHAR, "value" JSON,
        printed VARCHAR)[], settled_by VARCHAR)[], fetched_at TIMESTAMP WITH TIME ZONE, page_sha256 VARCHAR,
        archive_record VARCHAR, printed MAP(VARCHAR, VARCHAR)
        )) AS record
    FROM old.core.call_versions AS v JOIN run AS first USING (run_id)
    WINDOW w AS (PARTITION BY v.call_id ORDER BY v.version)
), last_state AS (
    SELECT s.*, c.status, greatest(listed.number, s.number) AS last_number, c.status <> s.record.status AS moved, c.last_seen_on
    FROM state AS s JOIN old.core.calls AS c USING (call_id) JOIN listed USING (call_id) WHERE s.next_number IS NULL
), states AS (
    SELECT call_id, version, content_sha256, changed, number, next_number - 1 AS last_number, next_number,
        CAST(record.fetched_at AS DATE) AS seen_on, record
    FROM state WHERE next_number IS NOT NULL
    UNION ALL
    SELECT call_id, version, content_sha256, changed, number,
        CASE WHEN moved THEN greatest(last_number - 1, number) ELSE last_number END,
        CASE WHEN moved AND last_number > number THEN last_number END,
        CAST(record.fetched_at AS DATE), record
    FROM last_state
    UNION ALL
    SELECT call_id, version + 1, content_sha256, NULL, last_number, last_number, NULL, last_seen_on,
        struct_update(record, status := status)
    FROM last_state WHERE moved AND last_number > number
)
SELECT
    s.version, first.run_id, first.as_of AS valid_from, last.run_id AS last_run_id, next.run_id AS next_run_id,
    next.as_of AS valid_to, s.changed, [s.seen_on] AS seen_on, unnest(s.record), s.content_sha256
FROM states AS s
JOIN run AS first ON first.number = s.number
JOIN run AS last ON last.number = s.last_number
LEFT JOIN run AS next ON next.number = s.next_number
ORDER BY s.call_id, s.version;
