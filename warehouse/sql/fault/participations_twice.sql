-- An organisation takes part in a project once; what its statements do not agree on is unknown.
SELECT project || ' ~ ' || org || ': stated more than once' AS why
FROM printed_participations GROUP BY project, org HAVING count(*) > 1;
