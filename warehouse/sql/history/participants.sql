-- A row is one organisation that has a code and a name, the first where it is stated twice.
SELECT org AS org_id, name, country, nuts, city AS place, activity, truth(sme) AS sme FROM printed_organisations
WHERE rowid IN (SELECT min(rowid) FROM printed_organisations WHERE org IS NOT NULL AND name IS NOT NULL GROUP BY org);
