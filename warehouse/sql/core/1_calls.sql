-- A row is one call ever seen, as last read. Amounts are in EUR, rates are fractions, unknown is NULL.
CREATE TABLE core.calls (
    call_id VARCHAR NOT NULL,      -- "<source>:<key>" of the document it was first known by, and the round's year
    source VARCHAR NOT NULL,
    level VARCHAR NOT NULL,        -- national, regional, interregional, european
    programme VARCHAR,
    title VARCHAR NOT NULL,
    url VARCHAR NOT NULL,
    status VARCHAR NOT NULL,       -- forthcoming, open, closed, unknown; as of the last run that saw it
    status_note VARCHAR,           -- why the status differs from the source's claim
    claimed_status VARCHAR,        -- what the source says, whatever its dates say
    opens_on DATE,
    deadlines STRUCT("at" VARCHAR, printed VARCHAR, kind VARCHAR, opens_on DATE)[] NOT NULL, -- "at": a day, or a moment with zone
    rolling BOOLEAN,               -- true: stated to have no fixed end
    until_spent BOOLEAN,           -- true: stated to end when the money is spent
    allocation VARCHAR,            -- first come, ranking, lottery
    budget_total_eur DOUBLE,       -- the topic's own money, or the ceiling of this opening
    call_budget_total_eur DOUBLE,  -- the pot shared with the call's other topics
    remaining_budget_eur DOUBLE,   -- as printed on the day the page was fetched
    expected_grants INTEGER,
    grant_max_eur DOUBLE,
    grant_min_eur DOUBLE,
    eligible_costs_min_eur DOUBLE, -- thresholds on a project's eligible costs
    eligible_costs_max_eur DOUBLE,
    own_contribution_min_eur DOUBLE,
    own_contribution_min_rate DOUBLE,
    funding_rate DOUBLE,           -- paid of eligible costs, to every applicant
    funding_rate_sme DOUBLE,       -- of SMEs, where it differs
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
    checked_on DATE,               -- when the publisher, or a person, last checked what it says
    documents STRUCT(
        document_id VARCHAR, source VARCHAR, role VARCHAR, title VARCHAR, url VARCHAR, issuer VARCHAR,
        published_on DATE, "references" VARCHAR[], fetched_at TIMESTAMPTZ, page_sha256 VARCHAR,
        archive_record VARCHAR, printed MAP(VARCHAR, VARCHAR)
    )[] NOT NULL,                  -- all that tell of the call, the leading one first
    contradictions STRUCT(
        field VARCHAR, claims STRUCT(document_id VARCHAR, "value" JSON, printed VARCHAR)[], settled_by VARCHAR
    )[] NOT NULL,                  -- what documents state differently
    fetched_at TIMESTAMPTZ NOT NULL,
    page_sha256 VARCHAR NOT NULL,
    archive_record VARCHAR NOT NULL,
    printed MAP(VARCHAR, VARCHAR) NOT NULL, -- field → the source's own words
    content_sha256 VARCHAR NOT NULL, -- of all but provenance and status
    first_seen_on DATE,            -- day of the page in which it was first read
    last_seen_on DATE NOT NULL,    -- day of its newest page: "not seen since", where in_latest_run is false
    in_latest_run BOOLEAN NOT NULL -- whether its source still lists it
);
INSERT INTO core.calls
SELECT * FROM (
    SELECT s.* REPLACE (coalesce(p.first_seen_on, s.last_seen_on) AS first_seen_on)
    FROM stage_calls AS s LEFT JOIN prev.core.calls AS p USING (call_id)
    UNION ALL
    SELECT p.* REPLACE (false AS in_latest_run)
    FROM prev.core.calls AS p ANTI JOIN stage_calls AS s USING (call_id)
) ORDER BY call_id;
