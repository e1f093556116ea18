-- An organisation is stated once.
SELECT org || ': stated more than once' AS why
FROM printed_organisations WHERE name IS NOT NULL GROUP BY org HAVING count(*) > 1;
