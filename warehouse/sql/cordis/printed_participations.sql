-- A row is one organisation's part in one project.
CREATE TEMP VIEW printed_participations AS SELECT project, org, role, eur FROM printed_members;
