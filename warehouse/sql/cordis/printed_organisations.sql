-- A row is one organisation as the project that was signed last describes it.
CREATE TEMP TABLE printed_organisations AS
SELECT org, name, country, nuts, city, activity, sme FROM printed_members WHERE rowid IN (
    SELECT m.rowid FROM printed_members AS m
    LEFT JOIN (SELECT project, max(day(signed)) AS signed_on FROM printed_projects GROUP BY project) USING (project)
    QUALIFY row_number() OVER (PARTITION BY org ORDER BY signed_on DESC NULLS LAST, project DESC, m.rowid) = 1
);
