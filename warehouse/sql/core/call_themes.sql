-- A row is one theme of the region's industry that a call names, as last read.
CREATE TABLE core.call_themes (
    call_id VARCHAR NOT NULL,      -- the call
    theme VARCHAR NOT NULL,        -- of pipeline/themes.yml
    term VARCHAR NOT NULL          -- the words of the call that name it
);
INSERT INTO core.call_themes
SELECT * FROM (
    FROM stage_call_themes UNION ALL FROM prev.core.call_themes AS p ANTI JOIN stage_calls USING (call_id)
) ORDER BY call_id, theme;
