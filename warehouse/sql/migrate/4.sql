-- Schema 4 as schema 5 has it. Schema 4 counted nothing.
CREATE VIEW prev.raw.calls AS FROM old.raw.calls;
CREATE VIEW prev.core.runs AS SELECT *, CAST(NULL AS MAP(VARCHAR, BIGINT)) AS counters FROM old.core.runs;
CREATE VIEW prev.core.calls AS FROM old.core.calls;
CREATE VIEW prev.core.call_versions AS FROM old.core.call_versions;
CREATE VIEW prev.core.call_themes AS FROM old.core.call_themes;
CREATE VIEW prev.core.profile_versions AS FROM old.core.profile_versions;
CREATE VIEW prev.core.matches AS FROM old.core.matches;
CREATE VIEW prev.core.feedback AS FROM old.core.feedback;
CREATE VIEW prev.core.issues AS FROM old.core.issues;
CREATE VIEW prev.core.source_health AS FROM old.core.source_health;
CREATE VIEW prev.core.organisations AS FROM old.core.organisations;
CREATE VIEW prev.core.topics AS FROM old.core.topics;
CREATE VIEW prev.core.projects AS FROM old.core.projects;
CREATE VIEW prev.core.participants AS FROM old.core.participants;
CREATE VIEW prev.core.participations AS FROM old.core.participations;
