-- A row is one call ever seen, as last seen. Amounts are in EUR, rates are fractions, unknown is NULL.
CREATE TABLE core.calls (
    call_id VARCHAR PRIMARY KEY,   -- "<source>:<key>"
    source VARCHAR NOT NULL,
    level VARCHAR NOT NULL,
    programme VARCHAR,
    title VARCHAR NOT NULL,
    url VARCHAR NOT NULL,
    status VARCHAR NOT NULL,       -- forthcoming, open, closed, unknown; as of the last run that saw it
    status_note VARCHAR,           -- why the status differs from the source's claim
    opens_on DATE,
    deadlines STRUCT("at" VARCHAR, printed VARCHAR, kind VARCHAR)[] NOT NULL, -- "at": a day, or a moment with zone
    budget_total_eur DOUBLE,       -- the topic's own money
    call_budget_total_eur DOUBLE,  -- the pot shared with the call's other topics
    expected_grants INTEGER,
    grant_max_eur DOUBLE,
    grant_min_eur DOUBLE,
    funding_rate DOUBLE,
    trl_min INTEGER,
    trl_max INTEGER,
    applicants VARCHAR[] NOT NULL,
    regions VARCHAR[] NOT NULL,
    consortium STRUCT(min_partners INTEGER, min_countries INTEGER) NOT NULL,
    language VARCHAR,
    kind VARCHAR,
    identifier VARCHAR,
    call_identifier VARCHAR,
    call_title VARCHAR,
    parent_topic VARCHAR,
    type_of_action VARCHAR,
    keywords VARCHAR[] NOT NULL,
    sections STRUCT(heading VARCHAR, "text" VARCHAR)[] NOT NULL,
    conditions VARCHAR,
    fetched_at TIMESTAMPTZ NOT NULL,
    page_sha256 VARCHAR NOT NULL,
    archive_record VARCHAR NOT NULL,
    printed MAP(VARCHAR, VARCHAR) NOT NULL, -- field → the source's own words
    content_sha256 VARCHAR NOT NULL, -- of all but provenance and status
    first_seen_on DATE,
    last_seen_on DATE NOT NULL,    -- "not seen since", where in_latest_run is false
    in_latest_run BOOLEAN NOT NULL
);
INSERT INTO core.calls
SELECT * FROM (
    SELECT s.* REPLACE (coalesce(p.first_seen_on, s.last_seen_on) AS first_seen_on)
    FROM stage_calls AS s LEFT JOIN prev.core.calls AS p USING (call_id)
    UNION ALL
    SELECT p.* REPLACE (false AS in_latest_run)
    FROM prev.core.calls AS p ANTI JOIN stage_calls AS s USING (call_id)
) ORDER BY call_id;
