-- A row is one topic that has an identifier and a title, the first where it is stated twice.
SELECT topic AS topic_id, title, keywords FROM printed_topics
WHERE rowid IN (SELECT min(rowid) FROM printed_topics WHERE topic IS NOT NULL AND title IS NOT NULL GROUP BY topic);
