-- Those of the runs up to the chosen one.
CREATE VIEW core.issues AS FROM published.core.issues SEMI JOIN core.runs USING (run_id);
