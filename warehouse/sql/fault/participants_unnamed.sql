-- An organisation without a code or a name is left out.
SELECT coalesce(org, name, 'a row') || ': no code or no name' AS why
FROM printed_organisations WHERE org IS NULL OR name IS NULL;
