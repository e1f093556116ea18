-- A row is one record as its source printed it, from the source's latest good crawl.
CREATE TABLE raw.calls (
    source VARCHAR NOT NULL,
    key VARCHAR NOT NULL,          -- the source's own key
    fields JSON NOT NULL,          -- printed words, nothing interpreted
    pages STRUCT(url VARCHAR, fetched_at TIMESTAMPTZ, sha256 VARCHAR, archive_record VARCHAR)[] NOT NULL,
    PRIMARY KEY (source, key)
);
INSERT INTO raw.calls SELECT * FROM stage_raw_calls ORDER BY source, key;
