-- A contribution that is no amount is unknown.
SELECT project || ' ~ ' || org || ': EUR ' || eur AS why
FROM printed_participations WHERE eur IS NOT NULL AND amount(eur) IS NULL;
