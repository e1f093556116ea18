-- A topic without an identifier or a title is left out.
SELECT coalesce(topic, title, 'a row') || ': no identifier or no title' AS why
FROM printed_topics WHERE topic IS NULL OR title IS NULL;
