-- Whether an organisation is an SME is true, false or unknown.
SELECT org || ': sme is ' || sme AS why
FROM printed_organisations WHERE sme IS NOT NULL AND truth(sme) IS NULL;
