-- A row is one topic of an earlier call, as last imported.
CREATE TABLE core.topics (
    topic_id VARCHAR PRIMARY KEY,  -- as the portal writes it
    title VARCHAR NOT NULL,
    keywords VARCHAR
);
INSERT INTO core.topics
SELECT * FROM (FROM stage_topics UNION ALL FROM prev.core.topics AS p ANTI JOIN stage_topics USING (topic_id))
ORDER BY topic_id;
