-- A project is stated once.
SELECT project || ': stated more than once' AS why
FROM printed_projects GROUP BY project HAVING count(*) > 1;
