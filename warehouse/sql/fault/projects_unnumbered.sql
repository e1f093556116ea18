-- A project without a number is left out.
SELECT coalesce(title, 'a row') || ': no number' AS why FROM printed_projects WHERE project IS NULL;
