-- A day of signature that is no day is unknown.
SELECT project || ': signed on ' || signed AS why
FROM printed_projects WHERE signed IS NOT NULL AND day(signed) IS NULL;
