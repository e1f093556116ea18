-- A topic is stated once.
SELECT topic || ': stated more than once' AS why
FROM printed_topics WHERE title IS NOT NULL GROUP BY topic HAVING count(*) > 1;
